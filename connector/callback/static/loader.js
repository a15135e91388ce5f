// The call-back button: draws the button, takes calls of the JS API, and loads the form when somebody is about to need it.
// No cookies, no storage, nothing of the page is changed but one element that is added to it.
(function (config) {
  "use strict";
  var script = document.currentScript;
  var given = script ? script.dataset : {};
  var waiting = (window.EvrotelCallback && window.EvrotelCallback.q) || [];
  if (window.EvrotelCallback && window.EvrotelCallback.here) return;

  // The address that the script came from is reachable from this page, whatever else the server is called.
  var base = script && /\.js(\?|$)/.test(script.src) ? script.src.replace(/\.js(\?.*)?$/, "") : config.base;
  var listeners = {};
  var form = null;
  var loading = false;
  var button = null;
  var wanted = null;

  function emit(name, detail) {
    (listeners[name] || []).slice().forEach(function (listener) {
      try {
        listener(detail || {});
      } catch (error) {
        setTimeout(function () { throw error; });
      }
    });
  }

  function language() {
    var asked = [given.lang, document.documentElement.lang].concat(navigator.languages || []);
    for (var place = 0; place < asked.length; place++) {
      var code = String(asked[place] || "").slice(0, 2).toLowerCase();
      if (code === "ua") code = "uk";
      if (config.texts[code]) return code;
    }
    return config.language;
  }

  function texts() {
    var own = {};
    Object.keys(given).forEach(function (key) {
      if (key.slice(0, 4) === "text" && key.length > 4) own[key.charAt(4).toLowerCase() + key.slice(5)] = given[key];
    });
    return own;
  }

  function colours() {
    var hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(given.color || "") ? given.color.slice(1) : "0b6bcb";
    if (hex.length === 3) hex = hex.replace(/./g, "$&$&");
    var light = [0, 2, 4].map(function (place) {
      var part = parseInt(hex.substr(place, 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : Math.pow((part + 0.055) / 1.055, 2.4);
    });
    // Whichever of black and white stands out more on it has a contrast of 4.58 at least (WCAG 2.2, relative luminance).
    var bright = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] > 0.1791;
    return { back: "#" + hex, text: bright ? "#000" : "#fff" };
  }

  function number(value, fallback) {
    return /^-?\d{1,10}$/.test(value || "") ? Number(value) : fallback;
  }

  function styled(host, css) {
    var root = host.attachShadow({ mode: "open" });
    try { // a constructed style sheet needs no permission of the site's policy
      var sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
      root.adoptedStyleSheets = [sheet];
    } catch (_) {
      root.appendChild(document.createElement("style")).textContent = css;
    }
    return root;
  }

  // Where the site lets only trusted addresses of scripts be set (trusted-types), the form's is one of them.
  function trusted(address) {
    try {
      return window.trustedTypes.createPolicy("evrotel-callback", { createScriptURL: String }).createScriptURL(address);
    } catch (_) {
      return address;
    }
  }

  // Pages that change without being loaded anew take away what is not theirs: it comes back.
  function keep(host) {
    var watch = new MutationObserver(attach);
    function attach() {
      var body = document.body;
      if (!body) return;
      if (!host.isConnected) body.appendChild(host);
      watch.disconnect();
      watch.observe(document.documentElement, { childList: true });
      watch.observe(body, { childList: true });
    }
    attach();
  }

  function element(name, attributes, content) {
    return filled(document.createElement(name), attributes, content);
  }

  function drawn(name, attributes) {
    return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes);
  }

  function filled(made, attributes, content) {
    Object.keys(attributes || {}).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    if (content) made.textContent = content;
    return made;
  }

  var own = texts();
  var context = {
    base: base,
    language: language(),
    texts: own,
    first: config.texts[language()],
    colours: colours(),
    phone: given.phone || config.phone,
    z: number(given.z, 2147483000),
    emit: emit,
    styled: styled,
    element: element
  };

  function load() {
    if (loading) return;
    loading = true;
    var added = element("script", { async: "" });
    try {
      added.src = trusted(base + "/" + config.form);
    } catch (_) { // the site forbids it
      return failed();
    }
    if (script && script.nonce) added.nonce = script.nonce;
    added.onerror = function () {
      added.remove();
      failed();
    };
    document.head.appendChild(added);
  }

  // Blocked, or no network: the phone is still there, and else that it did not work is said.
  function failed() {
    loading = false;
    if (!wanted) return;
    wanted = null;
    if (context.phone) location.href = "tel:" + context.phone.replace(/[^+\d]/g, "");
    else if (button) label("network");
    emit("failed", { state: "network" });
  }

  function open(options, opener) {
    wanted = { options: options || {}, opener: opener || document.activeElement };
    if (!form) return load();
    form.open(wanted.options, wanted.opener);
    wanted = null;
  }

  function api(name, first, second) {
    if (name === "on" && typeof second === "function") (listeners[first] = listeners[first] || []).push(second);
    else if (name === "off") listeners[first] = (listeners[first] || []).filter(function (each) { return each !== second; });
    else if (name === "open") open(first);
    else if (name === "close" && form) form.close();
    else if (name === "form") { // the form's script has come
      form = first(context);
      if (button) label("button");
      if (wanted) open(wanted.options, wanted.opener);
    }
  }

  function label(name) {
    button.lastChild.textContent = own[name] || context.first[name];
    button.classList.toggle("failed", name === "network");
  }

  function draw() {
    var host = element("div", { "data-evrotel-callback-button": "" });
    var place = String(given.position || "right-bottom");
    var far = number(given.offset, 20) + "px";
    var root = styled(host,
      ":host{all:initial!important}button{all:unset;box-sizing:border-box;position:fixed;" +
      (/left/.test(place) ? "left:" : "right:") + far + ";" + (/top/.test(place) ? "top:" : "bottom:") + far +
      ";z-index:" + context.z + ";display:inline-flex;align-items:center;gap:10px;min-width:56px;min-height:56px;" +
      "max-width:calc(100vw - 40px);padding:0 16px;border-radius:28px;background:" + context.colours.back + ";color:" +
      context.colours.text + ";font:600 16px/1.2 system-ui,sans-serif;cursor:pointer;box-shadow:0 2px 10px #0005}" +
      "svg{width:24px;height:24px;flex:none;fill:currentColor}" +
      "button:focus-visible{outline:3px solid " + context.colours.text + ";outline-offset:-6px}" +
      "@media(max-width:480px){:not(.failed)>span{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}}" +
      "@media print{button{display:none}}");
    button = element("button", { type: "button", "aria-haspopup": "dialog", lang: context.language });
    button.append(drawn("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }), element("span"));
    label("button");
    button.firstChild.appendChild(drawn("path", { d: "M6.6 10.8a15.1 15.1 0 0 0 6.6 6.6l2.2-2.2c.3-.3.7-.4 1-.2 " +
      "1.1.4 2.3.6 3.6.6.6 0 1 .4 1 1V20c0 .6-.4 1-1 1C10.6 21 3 13.4 3 4c0-.6.4-1 1-1h3.5c.6 0 1 .4 1 1 0 1.2.2 2.5.6 3.6.1.3 0 .7-.2 1z" }));
    ["pointerenter", "focus", "touchstart"].forEach(function (name) {
      button.addEventListener(name, load, { passive: true });
    });
    button.addEventListener("click", function () { open({}, button); });
    root.appendChild(button);
    keep(host);
  }

  function begin() {
    if (!("hidden" in given)) draw();
    document.addEventListener("click", function (event) {
      var link = event.target.closest && event.target.closest("[data-evrotel-callback]");
      if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open({}, link);
    });
    emit("ready");
  }

  // The panel of the connector itself may show it as well.
  if (config.origins.indexOf(location.origin) < 0 && location.origin !== new URL(base).origin) {
    console.warn("Evrotel call-back: " + location.origin + " is not in the connection's callback_origins");
    return;
  }
  api.here = true;
  window.EvrotelCallback = api;
  [].forEach.call(waiting, function (each) { api.apply(null, each); });
  if (document.body) begin();
  else document.addEventListener("DOMContentLoaded", begin);
})(__CONFIG__);

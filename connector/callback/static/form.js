// The form of the call-back button: a native dialog in a shadow root of its own. Loaded when somebody is about to open it.
window.EvrotelCallback("form", function (context) {
  "use strict";
  var element = context.element;
  var POLL = 1500;
  var LAST = { connected: 1, no_client: 1, failed: 1, no_operator: 1, scheduled: 1 };
  var host = element("div", { "data-evrotel-callback-form": "" });
  var css =
    ":host{all:initial!important}*{box-sizing:border-box}" +
    "dialog{color-scheme:light;width:min(380px,calc(100vw - 16px));max-height:calc(100dvh - 16px);overflow:auto;margin:auto;padding:20px;" +
    "border:0;border-radius:14px;background:#fff;color:#1b1f24;font:16px/1.45 system-ui,sans-serif;box-shadow:0 10px 40px #0006}" +
    "dialog::backdrop{background:#0008}" +
    "header{display:flex;align-items:flex-start;justify-content:space-between;gap:8px}" +
    "h2{margin:6px 0 4px;font-size:20px;line-height:1.25}p{margin:0 0 14px}" +
    "button,input,select{font:inherit}button{min-height:44px;min-width:44px;border-radius:8px;cursor:pointer}" +
    ".close{flex:none;margin:-8px -8px 0 0;border:0;background:none;color:#1b1f24;font-size:22px;line-height:1}" +
    "label{display:block;margin:0 0 4px;font-weight:600}" +
    "input[type=tel],select{display:block;width:100%;min-height:44px;margin:0 0 4px;padding:8px 12px;border:1px solid #6b7480;border-radius:8px;" +
    "background:#fff;color:inherit}input[aria-invalid=true]{border-color:#b3261e;border-width:2px}" +
    ".field{margin-bottom:14px}.error{margin:0;color:#b3261e;font-size:15px}" +
    ".agree{display:flex;gap:10px;align-items:flex-start;font-weight:400}.agree input{flex:none;width:24px;height:24px;margin:0}" +
    ".main{display:block;width:100%;border:0;padding:10px 16px;font-weight:600;background:" + context.colours.back + ";color:" + context.colours.text + "}" +
    ".main[disabled]{opacity:.6;cursor:default}.plain{display:block;width:100%;margin-top:8px;border:1px solid #6b7480;background:#fff;color:#1b1f24}" +
    "a{color:#0a58ca}.tel{margin:14px 0 0}.tel a{display:inline-block;padding:10px 0;font-weight:600}" +
    ".timer{margin:0 0 8px;font:600 40px/1 system-ui,sans-serif;font-variant-numeric:tabular-nums;text-align:center}" +
    "progress{display:block;width:100%;height:6px;margin:0 0 14px;accent-color:" + context.colours.back + "}" +
    ":focus-visible{outline:3px solid #0a58ca;outline-offset:2px}h2:focus-visible{outline:0}[hidden],.honey{display:none!important}" +
    ".quiet{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}" +
    "@media(prefers-reduced-motion:no-preference){dialog[open]{animation:in .16s ease-out}@keyframes in{from{opacity:0;transform:translateY(8px)}}}";
  var root = context.styled(host, css);
  var dialog = element("dialog", { "aria-labelledby": "title", lang: context.language });
  var head = element("header");
  var title = element("h2", { id: "title", tabindex: "-1" });
  var shut = element("button", { type: "button", "class": "close" }, "\u00d7");
  var body = element("div");
  // Two regions: one says what happens, the other how long it takes; a reader of one is not interrupted by the other.
  var status = element("p", { role: "status", "aria-live": "polite" });
  var spoken = element("div", { "class": "quiet", role: "status", "aria-live": "polite" });
  var tel = element("p", { "class": "tel" });
  head.append(title, shut);
  dialog.append(head, status, body, spoken, tel);
  root.appendChild(dialog);
  document.body.appendChild(host);

  var form = null; // what the server gave: texts, times, consent, token
  var opener = null;
  var running = null; // the request that is under way
  var typed = ""; // the number, over all states of the form
  var ticking = 0;
  var polling = 0;

  function text(name, values) {
    var found = context.texts[name] || (form && form.texts[name]) || context.first[name] || "";
    return found.replace(/%\((\w+)\)s/g, function (whole, key) { return values && key in values ? values[key] : whole; });
  }

  function ask(path, options) {
    var joint = path.indexOf("?") < 0 ? "?" : "&";
    return fetch(context.base + path + joint + "lang=" + context.language, Object.assign({ credentials: "omit", referrerPolicy: "no-referrer-when-downgrade" }, options))
      .then(function (answer) {
        return answer.json().then(function (content) { return { status: answer.status, content: content }; });
      });
  }

  function show(state, detail) {
    body.replaceChildren();
    status.textContent = state;
    status.hidden = !state;
    (detail || []).forEach(function (each) { if (each) body.appendChild(each); });
  }

  function showPhone() {
    tel.replaceChildren();
    var phone = context.phone || (form && form.phone);
    tel.hidden = !phone;
    if (!phone) return;
    tel.append(text("or_call") + " ", element("a", { href: "tel:" + phone.replace(/[^+\d]/g, "") }, phone));
  }

  function button(kind, name, action) {
    var made = element("button", { type: kind === "main" ? "submit" : "button", "class": kind }, text(name));
    if (action) {
      made.type = "button";
      made.addEventListener("click", action);
    }
    return made;
  }

  function fetchForm(withSlots) {
    return ask("/form" + (withSlots ? "?slots=1" : "")).then(function (answer) {
      if (answer.status !== 200) throw answer.content;
      form = answer.content;
      if (form.language) dialog.lang = form.language;
      return form;
    });
  }

  function trouble(content) {
    show((content && content.error && content.message) || text("network"), // else it is the browser's own error
      [button("plain", "again", function () { load(false); })]);
    showPhone();
    context.emit("failed", { state: (content && content.error) || "network" });
  }

  function load(withSlots, options) {
    title.textContent = text("title");
    shut.setAttribute("aria-label", text("close"));
    show(text("loading"));
    showPhone();
    return fetchForm(withSlots).then(function () { draw(withSlots, options || {}); }, trouble);
  }

  function draw(withSlots, options) {
    stop();
    running = null;
    showPhone();
    if (!form.takes) return show(text("shut"));
    var chooses = withSlots || !form.open;
    var made = element("form", { novalidate: "" });
    var field = element("div", { "class": "field" });
    var phone = element("input", { id: "phone", type: "tel", name: "phone", autocomplete: "tel", inputmode: "tel", maxlength: "40", required: "", "aria-describedby": "phone-error", placeholder: "+380 67 123 45 67" });
    var wrong = element("p", { id: "phone-error", "class": "error" });
    phone.value = options.phone || typed;
    phone.addEventListener("input", function () { typed = phone.value; });
    phone.addEventListener("blur", function () { phone.value = typed = spaced(phone.value); });
    field.append(element("label", { "for": "phone" }, text("phone")), phone, wrong);
    made.appendChild(field);
    var when = chooses ? times(made) : null;
    var agree = form.consent ? consent(made) : null;
    // People do not see it, programs fill it in.
    var honey = element("input", { "class": "honey", name: "website", tabindex: "-1", autocomplete: "off", "aria-hidden": "true" });
    var send = button("main", chooses ? "send_later" : "send");
    made.append(honey, send);
    if (!chooses) made.appendChild(button("plain", "later", function () { load(true); }));
    else if (form.open) made.appendChild(button("plain", "now", function () { load(false); }));
    made.addEventListener("submit", function (event) {
      event.preventDefault();
      wrong.textContent = "";
      phone.removeAttribute("aria-invalid");
      if (agree) agree.wrong.textContent = "";
      if (phone.value.replace(/\D/g, "").length < 5) return mark(phone, wrong, text("phone_empty"));
      if (agree && !agree.box.checked) return mark(agree.box, agree.wrong, text("consent_empty"));
      send.disabled = true;
      submit({ phone: phone.value, slot: when ? when.value : "", consent: form.consent ? form.consent.version : "", website: honey.value }, false)
        .then(function (refused) {
          send.disabled = false;
          if (refused) mark(phone, wrong, refused);
        });
    });
    show(chooses ? text(form.open ? "choose" : "closed") : text("lead", { seconds: form.countdown }), [made]);
    if (dialog.open) phone.focus();
  }

  function mark(field, place, said) {
    place.textContent = said;
    field.setAttribute("aria-invalid", "true");
    field.focus();
  }

  function times(made) {
    var field = element("div", { "class": "field" });
    var select = element("select", { id: "when" });
    if (!form.open && form.next_open) select.appendChild(element("option", { value: "" }, text("opening", { time: form.next_open })));
    form.slots.forEach(function (day) {
      var group = element("optgroup", { label: day.day });
      day.times.forEach(function (time) { group.appendChild(element("option", { value: time[1] }, time[0] + ", " + day.day)); });
      select.appendChild(group);
    });
    field.append(element("label", { "for": "when" }, text("when")), select);
    made.appendChild(field);
    return select;
  }

  function consent(made) {
    var field = element("div", { "class": "field" });
    var box = element("input", { id: "agree", type: "checkbox", "aria-describedby": "agree-error" });
    var label = element("label", { "for": "agree", "class": "agree" });
    var said = element("span", {}, form.consent.text + " ");
    var wrong = element("p", { id: "agree-error", "class": "error" });
    if (form.consent.url) said.appendChild(element("a", { href: form.consent.url, target: "_blank", rel: "noopener" }, text("policy")));
    label.append(box, said);
    field.append(label, wrong);
    made.appendChild(field);
    return { box: box, wrong: wrong };
  }

  // Ukrainian numbers as people write them; all others as they were typed.
  function spaced(value) {
    var digits = value.replace(/\D/g, "");
    if (/^0\d{9}$/.test(digits)) digits = "38" + digits;
    if (!/^380\d{9}$/.test(digits)) return value.trim();
    return digits.replace(/^380(\d\d)(\d{3})(\d\d)(\d\d)$/, "+380 $1 $2 $3 $4");
  }

  function tags() {
    var found = {};
    new URLSearchParams(location.search).forEach(function (value, key) { if (/^utm_/.test(key)) found[key] = value; });
    return found;
  }

  // Resolves with what to say at the phone field, empty where the request was taken.
  function submit(values, again) {
    var sent = Object.assign({ token: form.token, lang: form.language, page: location.href, title: document.title, referrer: document.referrer, utm: tags() }, values);
    return ask("", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(sent) }).then(
      function (answer) {
        if (answer.status === 202) {
          context.emit("requested", { id: answer.content.id, state: answer.content.state, due_at: answer.content.due_at });
          follow(answer.content);
          return "";
        }
        if (/^token/.test(answer.content.error) && !again) {
          return fetchForm(false).then(function () { return submit(values, true); }, function () { return text("network"); });
        }
        context.emit("failed", { state: answer.content.error });
        return answer.content.message || text("network");
      },
      function () {
        context.emit("failed", { state: "network" });
        return text("network");
      }
    );
  }

  function follow(request) {
    stop();
    running = request;
    if (request.state !== "calling") return over(request);
    var left = request.eta || form.countdown;
    var timer = element("p", { "class": "timer", "aria-hidden": "true" }, text("left", { seconds: left }));
    var bar = element("progress", { max: String(left), value: "0", "aria-hidden": "true" });
    var state = "calling_operator";
    show(text(state), [timer, bar]);
    title.focus();
    context.emit("calling", { id: request.id });
    spoken.textContent = text("left", { seconds: left });
    ticking = setInterval(function () {
      left -= 1;
      if (left >= 0) {
        timer.textContent = text("left", { seconds: left });
        bar.value = bar.max - left;
      }
      if (left === 10) spoken.textContent = text("ten_left");
      if (left === 0 && state === "calling_operator") waits(timer, bar);
    }, 1000);
    look();

    function look() {
      ask("/requests/" + request.id).then(function (answer) {
        if (running !== request) return;
        var now = answer.content.state;
        if (LAST[now]) return over(answer.content);
        if (now === "calling_client" && state !== now) {
          clearInterval(ticking);
          show(text(now));
          context.emit(now, { id: request.id });
        }
        state = now || state;
        polling = setTimeout(look, POLL);
      }, function () { polling = setTimeout(look, POLL * 2); });
    }
  }

  // The time is up and nobody has picked up: that is said, and another time is offered.
  function waits(timer, bar) {
    timer.remove();
    bar.remove();
    spoken.textContent = "";
    status.textContent = text("waiting");
    body.appendChild(button("plain", "later", function () { load(true); }));
  }

  function over(result) {
    stop();
    running = null;
    var name = result.state === "no_operator" && result.due ? "again_at" : result.state;
    var good = name === "connected" || name === "scheduled" || name === "again_at";
    show(text(name, { time: result.due }), [
      !good && button("main", "again", function () { load(false); }),
      !good && button("plain", "later", function () { load(true); }),
      good && button("plain", "close", close)
    ]);
    title.focus();
    context.emit(result.state === "scheduled" ? "scheduled" : result.state, { id: result.id, due_at: result.due_at });
    if (result.state === "no_client" || result.state === "no_operator") context.emit("failed", { state: result.state });
  }

  function stop() {
    clearInterval(ticking);
    clearTimeout(polling);
    spoken.textContent = "";
  }

  function close() {
    if (dialog.open) dialog.close();
  }

  shut.addEventListener("click", close);
  dialog.addEventListener("click", function (event) {
    if (event.target !== dialog) return; // else it is within
    var box = dialog.getBoundingClientRect();
    var inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) close();
  });
  // What is typed here is nothing for the page: it may have keys of its own, or hold the focus within its own dialog.
  ["keydown", "keypress", "keyup", "focusin"].forEach(function (name) {
    dialog.addEventListener(name, function (event) { event.stopPropagation(); });
  });
  dialog.addEventListener("close", function () {
    if (opener && opener.focus) opener.focus();
    context.emit("close");
  });

  return {
    open: function (options, from) {
      opener = from;
      if (!host.isConnected) { // a page that changes without being loaded anew has taken it away
        dialog.removeAttribute("open");
        document.body.appendChild(host);
      }
      if (!dialog.open) dialog.showModal();
      context.emit("open");
      if (!running) load(false, options); // a request that is under way is shown as it is
    },
    close: close
  };
});

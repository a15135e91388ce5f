// Makes the phone numbers of a page clickable: each leads to our page, which asks before it calls.
// The same code is a bookmarklet (a second click takes the links away again) and a script for one's own pages.
(() => {
  "use strict";
  const base = "{{link}}";
  const mark = "data-evrotel-number";
  const running = window.evrotelNumbers;
  if (running) {
    running();
    return;
  }
  // Ukrainian numbers in groups of 3-2-2, 2-2-3 or 2-3-2 digits, free ones such as 0 800 500 500, and others with a plus.
  const gap = "[\\s.()\u2010-\u2015-]{0,2}";
  const own = [[3, 2, 2], [2, 2, 3], [2, 3, 2]].map((sizes) => sizes.map((size) => gap + "\\d{" + size + "}").join("")).join("|");
  const forms = "(?:(?:\\+?38|8)" + gap + ")?\\(?(?:0[3-9]\\d(?:" + own + ")|0" + gap + "[89]00(?:" + gap + "\\d{3}){2})";
  const phone = new RegExp("(?<![\\w+])(?<!\\d[.-])(?<![a-zA-Z]/)(?:" + forms + "|\\+\\d[\\d\\s().\u2010-\u2015-]{7,18}\\d)(?!\\w|[.-]\\d)", "g");
  const skipped = "a,button,input,textarea,select,option,script,style,noscript,code,pre,svg,iframe,head,[contenteditable]";
  const calling = "a[href^='tel:' i],a[href^='callto:' i]";
  const pieces = new WeakMap();
  const heads = new WeakMap();
  const targets = new WeakMap();

  const address = (text) => base + encodeURIComponent(text.replace(/[^\d+]/g, ""));

  function anchor(text) {
    const link = document.createElement("a");
    link.href = address(text);
    link.textContent = text;
    link.target = "_blank";
    link.rel = "noopener";
    link.setAttribute(mark, "");
    return link;
  }

  // The page's own node stays where it is, with the text before the first number: frameworks hold on to theirs.
  function wrap(node) {
    const made = [];
    for (const found of [...node.data.matchAll(phone)].reverse()) {
      const link = anchor(found[0]);
      const number = node.splitText(found.index);
      const rest = number.splitText(found[0].length);
      number.replaceWith(link);
      heads.set(link, node);
      made.unshift(link, rest);
    }
    if (made.length) pieces.set(node, made);
  }

  function unwrap(node, keepsText) {
    const made = pieces.get(node) || [];
    pieces.delete(node);
    if (keepsText) node.data += made.map((each) => each.textContent).join("");
    for (const each of made) each.remove();
  }

  function look(root) {
    if (root.nodeType === Node.TEXT_NODE) {
      if (root.parentElement && !root.parentElement.closest(skipped)) wrap(root);
      return;
    }
    if (root.nodeType !== Node.ELEMENT_NODE) return;
    if (root.matches(calling)) turn(root);
    if (root.closest(skipped)) return;
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) => {
      if (node.nodeType === Node.TEXT_NODE) return /\d{2}/.test(node.data) ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP;
      return node.matches(skipped) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP;
    });
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    texts.forEach(wrap);
    root.querySelectorAll(calling).forEach(turn);
  }

  // Inner numbers and those of emergencies stay with the device; what is dialled after a number is not a part of it.
  function turn(link) {
    const before = link.getAttribute("href");
    let number = before.replace(/^\w+:/, "");
    try {
      number = decodeURIComponent(number);
    } catch {
      return;
    }
    number = number.split(/[;,pwx?]/i)[0];
    if (number.replace(/\D/g, "").length < 7 || link.closest("[contenteditable]")) return;
    targets.set(link, link.getAttribute("target"));
    link.setAttribute(mark, before);
    link.href = address(number);
    link.target = "_blank";
  }

  function turnBack(link) {
    const target = targets.get(link);
    link.setAttribute("href", link.getAttribute(mark));
    link.removeAttribute(mark);
    if (target) link.target = target;
    else link.removeAttribute("target");
  }

  // normalize() takes a node away and leaves its text, which may be none.
  function isMerged(node) {
    const before = pieces.get(node)[0].previousSibling;
    return !node.data || (before?.nodeType === Node.TEXT_NODE && before.data.endsWith(node.data));
  }

  const seen = new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.type === "characterData") {
        unwrap(change.target, false);
        look(change.target);
      }
      for (const node of change.removedNodes) if (pieces.has(node) && !isMerged(node)) unwrap(node, true);
      for (const node of change.addedNodes) if (node.isConnected) look(node);
    }
    seen.takeRecords();
  });

  window.evrotelNumbers = () => {
    seen.disconnect();
    for (const link of document.querySelectorAll(`a[${mark}]`)) {
      if (link.getAttribute(mark)) turnBack(link);
      else if (heads.get(link)?.isConnected) unwrap(heads.get(link), true);
      else link.replaceWith(link.textContent);
    }
    delete window.evrotelNumbers;
  };

  function start() {
    look(document.body);
    seen.observe(document.documentElement, { childList: true, characterData: true, subtree: true });
  }
  if (document.body) start();
  else document.addEventListener("DOMContentLoaded", start, { once: true });
})();

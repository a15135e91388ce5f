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
  const phone = /(?<![\w+.,/-])(?:\+\d[\d ().-]{7,18}\d|\(?0\d{2}\)?[ .-]?\d{3}[ .-]?\d{2}[ .-]?\d{2})(?![\w-])/g;
  const skipped = "a,button,input,textarea,select,option,script,style,noscript,code,pre,svg,iframe,[contenteditable]";

  const address = (text) => base + encodeURIComponent(text.replace(/[^\d+]/g, ""));

  function anchor(text, number) {
    const link = document.createElement("a");
    link.href = address(number);
    link.textContent = text;
    link.target = "_blank";
    link.rel = "noopener";
    link.setAttribute(mark, "");
    return link;
  }

  function wrap(node) {
    const text = node.nodeValue;
    phone.lastIndex = 0;
    let found = phone.exec(text);
    if (!found) return;
    const parts = document.createDocumentFragment();
    let from = 0;
    for (; found; found = phone.exec(text)) {
      parts.append(text.slice(from, found.index), anchor(found[0], found[0]));
      from = found.index + found[0].length;
    }
    parts.append(text.slice(from));
    node.replaceWith(parts);
  }

  function look(root) {
    if (root.nodeType === Node.TEXT_NODE) {
      if (root.parentElement && !root.parentElement.closest(skipped)) wrap(root);
      return;
    }
    if (root.nodeType !== Node.ELEMENT_NODE || root.closest(skipped)) {
      if (root.matches?.("a[href^='tel:']")) turn(root);
      return;
    }
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT, (node) => {
      if (node.nodeType === Node.TEXT_NODE) return /\d{2}/.test(node.nodeValue) ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP;
      return node.matches(skipped) ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_SKIP;
    });
    const texts = [];
    while (walker.nextNode()) texts.push(walker.currentNode);
    texts.forEach(wrap);
    root.querySelectorAll("a[href^='tel:']").forEach(turn);
  }

  function turn(link) {
    link.setAttribute(mark, link.getAttribute("href"));
    link.href = address(decodeURIComponent(link.getAttribute("href").slice(4)));
    link.target = "_blank";
  }

  const seen = new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.isConnected && !node.matches?.(`[${mark}]`)) look(node);
  });

  window.evrotelNumbers = () => {
    seen.disconnect();
    for (const link of document.querySelectorAll(`a[${mark}]`)) {
      const before = link.getAttribute(mark);
      if (before) {
        link.setAttribute("href", before);
        link.removeAttribute(mark);
        link.removeAttribute("target");
      } else {
        const parent = link.parentNode;
        link.replaceWith(link.textContent);
        parent.normalize();
      }
    }
    delete window.evrotelNumbers;
  };
  look(document.body);
  seen.observe(document.body, { childList: true, subtree: true });
})();

// Fits the CRM's frame to the page, as long as the page lives.
"use strict";
if (window.BX24) {
  window.BX24.init(() => {
    const content = document.getElementById("content");
    const fit = () => window.BX24.resizeWindow(document.documentElement.clientWidth, content.offsetHeight + 24);
    new ResizeObserver(fit).observe(content);
    fit();
  });
}

// A stand-in for https://api.bitrix24.com/api/v1/: what the library does for a page in the portal's frame (REST docs,
// "BX24.js"), and a list of what it was asked for. Outside a frame of the portal it refuses, as the real one does.
"use strict";
window.BX24 = (() => {
  if (window.parent === window) throw new Error("Unable to initialize Bitrix24 JS library!");
  const asked = [];
  let ready = false;
  const note = (name, ...values) => asked.push([name, ...values]);
  const tell = (name, ...values) => {
    if (!ready) throw new Error(`${name} before BX24.init has called back`);
    note(name, ...values);
    window.parent.postMessage([name, ...values], "*");
  };
  return {
    asked,
    init(callback) {
      note("init");
      const begin = () => setTimeout(() => { ready = true; callback(); }, 20);
      if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin); else begin();
    },
    installFinish() { tell("installFinish"); },
    resizeWindow(width, height, callback) {
      if (!(width > 0 && height > 0)) throw new Error(`resizeWindow(${width}, ${height})`);
      tell("resizeWindow", width, height);
      if (callback) callback({ width, height });
    },
    fitWindow(callback) {
      tell("fitWindow", document.documentElement.scrollWidth, document.documentElement.scrollHeight);
      if (callback) callback();
    },
  };
})();

// Tells the portal, once and last, that the installation is complete: until then it delivers no events.
"use strict";
if (window.BX24) {
  window.BX24.init(() => window.BX24.installFinish());
}

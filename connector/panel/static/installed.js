// Tells the portal that the installation is complete; until then it delivers no events to the application.
"use strict";
if (window.BX24) {
  window.BX24.init(() => window.BX24.installFinish());
}

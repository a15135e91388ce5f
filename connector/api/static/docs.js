"use strict";
// The key that is typed here stays in this page: nothing of it is kept in the browser.
SwaggerUIBundle({
  url: document.getElementById("api").dataset.spec,
  dom_id: "#api",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
  tryItOutEnabled: true,
});

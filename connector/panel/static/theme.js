// Follows the device's light or dark mode. Loaded before the styles, so that no page flashes.
"use strict";
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.setAttribute("data-bs-theme", dark.matches ? "dark" : "light");
follow();
dark.addEventListener("change", follow);
document.documentElement.classList.add("with-script");

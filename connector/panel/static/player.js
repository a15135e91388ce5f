// The player of a call's recording. Its audio is fetched when somebody plays it, not before: each listening is written down.
"use strict";

const SPEED_KEY = "evrotel-player-speed";

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (part) => String(part).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function kept(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // a browser that keeps nothing
  }
}

function keep(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // as above
  }
}

for (const player of document.querySelectorAll(".player")) {
  const audio = player.querySelector("audio");
  const toggle = player.querySelector("[data-toggle]");
  const place = player.querySelector("input[type=range]");
  const heard = player.querySelector("clipPath rect");
  const width = player.querySelector("svg").viewBox.baseVal.width;
  const time = player.querySelector(".player-time");
  const speed = player.querySelector("[data-speed]");
  const trouble = player.querySelector("[data-trouble]");

  audio.controls = false;
  audio.hidden = true;
  for (const own of player.querySelectorAll(".player-own")) own.hidden = false;

  const length = () => (Number.isFinite(audio.duration) && audio.duration) || Number(player.dataset.seconds) || 0;

  const show = () => {
    const [now, whole] = [audio.currentTime, length()];
    place.max = String(Math.ceil(whole));
    place.value = String(Math.round(now));
    place.setAttribute("aria-valuetext", player.dataset.at.replace("{time}", clock(now)).replace("{length}", clock(whole)));
    heard.setAttribute("width", String(whole ? (width * now) / whole : 0));
    time.textContent = `${clock(now)} / ${clock(whole)}`;
    player.classList.toggle("playing", !audio.paused);
    toggle.setAttribute("aria-label", audio.paused ? toggle.dataset.start : toggle.dataset.pause);
  };

  const playOrPause = async () => {
    if (!audio.paused) {
      audio.pause();
      return;
    }
    trouble.hidden = true;
    if (audio.error) audio.load(); // it may be there by now
    try {
      await audio.play();
    } catch (error) {
      if (error.name === "AbortError") return; // paused before it began
      trouble.textContent = player.dataset.failed;
      trouble.hidden = false;
    }
  };

  const setSpeed = (value) => {
    audio.defaultPlaybackRate = audio.playbackRate = Number(value);
    speed.value = value;
  };

  toggle.addEventListener("click", playOrPause);
  place.addEventListener("input", () => {
    audio.currentTime = Math.min(Number(place.value), length());
    show();
  });
  place.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5 }[event.key];
    if (event.key === " ") playOrPause();
    else if (step) audio.currentTime = Math.min(Math.max(0, audio.currentTime + step), length());
    else return; // Home, End and the pages are the browser's own
    event.preventDefault();
    show();
  });
  speed.addEventListener("change", () => {
    setSpeed(speed.value);
    keep(SPEED_KEY, speed.value);
  });
  for (const name of ["timeupdate", "play", "pause", "ended", "durationchange", "seeked"]) audio.addEventListener(name, show);
  audio.addEventListener("loadedmetadata", () => setSpeed(speed.value)); // loading anew forgets it

  const wished = kept(SPEED_KEY);
  if (wished && [...speed.options].some((option) => option.value === wished)) setSpeed(wished);
  show();
}

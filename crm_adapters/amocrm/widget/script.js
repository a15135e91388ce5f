/* Evrotel's telephony in amoCRM and Kommo: calls by a click on a number, and notifications of calls. */
define(['jquery'], function ($) {
  'use strict';

  const SERVER = '@SERVER@';
  const ANSWER_MS = 15000;
  const KEPT_MS = 24 * 60 * 60 * 1000;
  const CARDS = {
    contacts: { path: 'contacts', element: 'contact' },
    companies: { path: 'companies', element: 'company' },
    leads: { path: 'leads', element: 'lead' },
  };
  // Cards, lists and older interfaces name the same things differently.
  const TYPES = { contact: 'contacts', company: 'companies', lead: 'leads', 1: 'contacts', 2: 'leads', 3: 'companies' };

  function fill(text, values) {
    return String(text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  }

  // Notifications show HTML, and the names are strangers' input. An apostrophe is part of many names: as the letter
  // that it should be it is harmless in any place, and readable where a text is shown as it is.
  function escaped(text) {
    const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '’' };
    return String(text).replace(/[&<>"']/g, (sign) => entities[sign]);
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch (unreadable) {
      return undefined;
    }
  }

  // What a `users` field holds, {user: extension}: an object, the same as JSON, or an empty list where nobody has one.
  // Undefined where it can't be read.
  function users_of(value) {
    const read = typeof value === 'string' && value.trim() ? parsed(value) : value || {};
    if (read === null || typeof read !== 'object' || (Array.isArray(read) && read.length)) return undefined;
    const users = {};
    Object.keys(read).forEach((user) => {
      const extension = String(read[user] === null || read[user] === undefined ? '' : read[user]).trim();
      if (extension) users[user] = extension;
    });
    return users;
  }

  // Which notifications this browser has shown: kept across tabs and page loads, or at least in the page.
  function Told(name) {
    const own = {};

    function read() {
      try {
        return parsed(window.localStorage.getItem(name)) || {};
      } catch (forbidden) {
        return own;
      }
    }

    function write(told) {
      try {
        window.localStorage.setItem(name, JSON.stringify(told));
      } catch (forbidden) {
        Object.assign(own, told);
      }
    }

    // Whether `key` is new. It is known from now on: another tab may be asking at this moment.
    this.first = (key) => {
      const told = Object.assign({}, own, read());
      const now = Date.now();
      if (key in told) return false;
      Object.keys(told).forEach((each) => {
        if (now - told[each] > KEPT_MS) delete told[each];
      });
      told[key] = now;
      own[key] = now;
      write(told);
      return true;
    };
  }

  // Sees to it that one of the browser's pages acts for all of them: the one looked at last, since browsers let hidden
  // pages act once a minute, and a call would be over by then. When that page closes, another one takes over.
  // `changed` is told whether it is this page's turn.
  function Turn(name, changed) {
    const locks = window.navigator.locks;
    let attempt = 0;
    let release = () => undefined;

    function request(options) {
      attempt += 1;
      const own = attempt;
      const hold = () => {
        if (own !== attempt) return undefined;
        changed(true);
        return new Promise((resolve) => {
          release = resolve;
        });
      };
      locks.request(name, options, hold).catch((refusal) => {
        if (own !== attempt) return;
        const taken = refusal.name === 'AbortError';
        changed(!taken); // a page that may have no locks acts for itself, as in a browser without them
        if (taken) request({});
      });
    }

    function look() {
      if (!document.hidden) request({ steal: true });
    }

    this.start = () => {
      if (!locks) {
        changed(true);
        return;
      }
      document.addEventListener('visibilitychange', look);
      request(document.hidden ? {} : { steal: true });
    };

    this.end = () => {
      attempt += 1;
      document.removeEventListener('visibilitychange', look);
      release();
    };
  }

  // amoCRM calls this with `new`, on top of its own widget object.
  return function EvrotelWidget() {
    const self = this;
    const dialling = {};
    let told = null;
    let turn = null;
    let leading = false;
    let timer = null;
    let failures = 0;

    // Milliseconds between two questions for calls: while the page is looked at, while it is not, and at most after
    // failures.
    self.pace = { seen: 4000, hidden: 15000, most: 60000 };

    function say(section, key, values) {
      const texts = self.i18n(section) || {};
      return fill(texts[key] === undefined ? key : texts[key], values || {});
    }

    function setting(name) {
      return (self.get_settings() || {})[name];
    }

    function user() {
      const known = window.APP && window.APP.constant ? window.APP.constant('user') : null;
      return known || {};
    }

    // Shows a notification by the first of the page's functions that works: not all versions have all of them.
    function notify(ways) {
      const offered = (window.APP && window.APP.notifications) || {};
      ways.some((way) => {
        if (typeof offered[way[0]] !== 'function') return false;
        try {
          offered[way[0]](way[1]);
          return true;
        } catch (unsupported) {
          return false;
        }
      });
    }

    function now() {
      return Math.floor(Date.now() / 1000);
    }

    function complain(text) {
      const shown = { header: escaped(say('widget', 'name')), text: escaped(text) };
      notify([
        ['show_message_error', Object.assign({ date: now() }, shown)],
        ['show_notification', { text: shown, type: 'error', date: now() }],
        ['show_message', Object.assign({ date: now() }, shown)],
      ]);
    }

    // -- our server --------------------------------------------------------------------------------------------------

    function why(answer) {
      const body = answer.responseJSON || parsed(answer.responseText);
      if (body && typeof body.error === 'string' && body.error) return body.error;
      if (!answer.status || answer.status < 400) return say('failures', 'away');
      return say('failures', 'answered', { status: answer.status });
    }

    function send(ajax, options) {
      return new Promise((resolve, reject) => {
        ajax(options).done(resolve).fail((answer) => reject({ status: answer.status || 0, reason: why(answer) }));
      });
    }

    // amoCRM's own function may show one token for some 25 minutes, and ours takes each only once for what changes
    // something: this fetches a new one from where amoCRM's function has them from.
    function send_with_new_token(options, refusal) {
      const client = setting('oauth_client_uuid');
      if (refusal.status !== 401 || !client) return Promise.reject(refusal);
      const tokens = '/ajax/v2/integrations/' + encodeURIComponent(client) + '/disposable_token';
      return send($.ajax, { url: tokens, dataType: 'json', cache: false, timeout: ANSWER_MS }).then(
        (answer) => send($.ajax, Object.assign({}, options, { headers: { 'X-Auth-Token': answer.token } })),
        () => Promise.reject(refusal)
      );
    }

    function ask(method, door, body) {
      if (typeof self.$authorizedAjax !== 'function') {
        return Promise.reject({ status: 0, reason: say('failures', 'unsupported') });
      }
      const options = { url: SERVER + door, method: method, dataType: 'json', timeout: ANSWER_MS };
      if (body === undefined) return send((each) => self.$authorizedAjax(each), options);
      options.contentType = 'application/json';
      options.data = JSON.stringify(body);
      return send((each) => self.$authorizedAjax(each), options).catch((refusal) =>
        send_with_new_token(options, refusal)
      );
    }

    // -- calls by a click --------------------------------------------------------------------------------------------

    function element_of(clicked) {
      const id = Number(clicked && clicked.id);
      if (!id) return undefined;
      return { id: id, type: TYPES[clicked.type] || String(clicked.type) };
    }

    self.dial = (clicked) => {
      const number = String((clicked && clicked.value) || '').trim();
      if (!number) {
        complain(say('dialling', 'no_number'));
        return Promise.resolve();
      }
      const same = number.replace(/\D/g, '') || number;
      if (dialling[same]) return dialling[same];
      const text = { header: escaped(say('dialling', 'outgoing')), text: escaped(say('dialling', 'started', { number })) };
      dialling[same] = ask('POST', '/click-to-call', { phone: number, element: element_of(clicked.element) })
        .then(
          () =>
            notify([
              ['show_notification', { text: text, type: 'call', date: now() }],
              ['show_message', Object.assign({ date: now() }, text)],
            ]),
          (refusal) => complain(say('dialling', 'refused', { number, reason: refusal.reason }))
        )
        .then(() => {
          delete dialling[same];
        });
      return dialling[same];
    };

    // -- incoming calls ----------------------------------------------------------------------------------------------

    function card_of(call) {
      const known = call.card && CARDS[TYPES[call.card.type] || call.card.type];
      const id = Number(call.card && call.card.id);
      if (!known || !id) return { link: '/contacts/add/?phone=' + encodeURIComponent(call.number || ''), label: 'add' };
      return { link: '/' + known.path + '/detail/' + id, label: 'open', element: { id: id, type: known.element } };
    }

    function show_call(call) {
      const card = card_of(call);
      const who = [call.name, call.number].filter(Boolean).map(escaped).join(', ');
      const line = escaped(say('calls', call.state, {})).replace('{who}', () => who);
      const link = '<a href="' + card.link + '">' + escaped(say('calls', card.label)) + '</a>';
      const text = { header: escaped(say('widget', 'name')), text: line + '<br>' + link };
      const date = Number(call.at) || now();
      const shown = { header: text.header, text: text.text, date: date, click_link: card.link };
      shown.from = escaped(call.name || call.number || '');
      if (user().name) shown.to = escaped(user().name);
      if (card.element) shown.element = card.element;
      notify([
        ['add_call', shown],
        ['show_notification', { text: text, type: 'call', date: date }],
        ['show_message', Object.assign({ date: date }, text)],
      ]);
    }

    function tell(call) {
      if (!told.first(call.id + ':' + call.state)) return;
      if (call.state === 'ringing' || call.state === 'missed') show_call(call);
      if (call.state === 'not_dialled') {
        complain(say('dialling', 'refused', { number: call.number || '', reason: call.text || '' }));
      }
    }

    // Asks once which calls there are for this user, and shows what is new.
    self.poll = () =>
      ask('GET', '/calls').then(
        (answer) => {
          failures = 0;
          if (told) ((answer && answer.calls) || []).forEach(tell);
        },
        () => {
          failures += 1;
        }
      );

    function next_in() {
      const usual = document.hidden ? self.pace.hidden : self.pace.seen;
      return Math.max(usual, Math.min(self.pace.most, usual * Math.pow(2, failures)));
    }

    function wait() {
      window.clearTimeout(timer);
      timer = leading ? window.setTimeout(again, next_in()) : null;
    }

    function again() {
      self.poll().then(wait, wait);
    }

    function lead(mine) {
      leading = mine;
      window.clearTimeout(timer);
      timer = mine ? window.setTimeout(again, 0) : null;
    }

    function start() {
      if (turn) return;
      self.add_action('phone', self.dial);
      const name = ['evrotel', SERVER, user().id].join(' ');
      told = new Told(name);
      turn = new Turn(name, lead);
      turn.start();
    }

    function stop() {
      if (turn) turn.end();
      turn = null;
      told = null;
      lead(false);
    }

    // -- settings ----------------------------------------------------------------------------------------------------

    function show_state($body) {
      const $found = $body && $body.length ? $body : $('.widget_settings_block').first();
      const $fields = $found.find('.widget_settings_block__fields').first();
      const $state = $('<div class="evrotel-state" role="status">').css({ margin: '0 0 12px', lineHeight: '1.5' });
      $found.find('.evrotel-state').remove();
      ($fields.length ? $fields : $found).prepend($state);
      $state.text(say('state', 'asking'));
      return ask('GET', '/settings').then(
        (answer) => {
          const connected = Boolean(answer && answer.connected);
          const unknown = ((answer && answer.unknown_extensions) || []).join(', ');
          const lines = [(answer && answer.text) || say('state', connected ? 'connected' : 'not_connected')];
          if (unknown) lines.push(say('state', 'unknown_extensions', { extensions: unknown }));
          $state.empty().attr('data-connected', String(connected));
          lines.forEach((line) => $('<p>').text(line).appendTo($state));
        },
        (refusal) => $state.text(say('state', 'not_asked', { reason: refusal.reason }))
      );
    }

    // Never fails: amoCRM keeps the settings whether or not our server can be reached; the person is told where it
    // could not.
    function save(fields) {
      const entered = fields && fields.extensions !== undefined ? fields.extensions : setting('extensions');
      const users = users_of(entered);
      const sent = users
        ? ask('POST', '/settings', { users: users })
        : Promise.reject({ reason: say('saving', 'unreadable') });
      return sent.then(
        () => true,
        (refusal) => {
          complain(say('saving', 'not_arrived', { reason: refusal.reason }));
          return true;
        }
      );
    }

    self.callbacks = {
      render: () => true,
      init: () => {
        start();
        return true;
      },
      bind_actions: () => true,
      settings: ($body) => {
        show_state($body);
        return true;
      },
      onSave: (saved) => (saved && saved.active === 'N' ? true : save(saved && saved.fields)),
      destroy: () => {
        stop();
        return true;
      },
      contacts: { selected: () => undefined },
      leads: { selected: () => undefined },
    };
    return self;
  };
});

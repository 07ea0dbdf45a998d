/// The dashboard's work: asks its own node every two seconds and shows the answers.
///
/// Nothing that comes from a node is ever read as HTML: elements are made one by one and filled by `textContent`.

let dashboardScript = #"""
    'use strict';
    const $ = id => document.getElementById(id);
    const every = 2000, svgSpace = 'http://www.w3.org/2000/svg';
    let token = sessionStorage.getItem('varve-token') || '', last = null, answeredAt = 0, round = 0;
    const samples = [];

    function el(name, text, cls) {
      const e = document.createElement(name);
      if (text !== undefined && text !== null) e.textContent = text;
      if (cls) e.className = cls;
      return e;
    }
    const set = (id, text) => { if ($(id).textContent !== String(text)) $(id).textContent = text; };
    const count = n => n === null || n === undefined ? '–' : Number(n).toLocaleString('en-US');
    function size(n) {
      if (n === null || n === undefined) return '–';
      let i = 0;
      for (; n >= 1024 && i < 4; i++) n /= 1024;
      return (i && n < 100 ? n.toFixed(1) : Math.round(n)) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB'][i];
    }
    function span(s) {
      if (s < 60) return (s < 10 ? s.toFixed(1) : Math.round(s)) + ' s';
      if (s < 3600) return Math.floor(s / 60) + ' min ' + Math.round(s % 60) + ' s';
      return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
    }
    const when = t => t ? t.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC') : '';

    async function ask(path, body) {
      const options = { headers: { Accept: 'application/json' }, cache: 'no-store' };
      if (token) options.headers.Authorization = 'Bearer ' + token;
      if (body) {
        options.method = 'POST';
        options.body = JSON.stringify(body);
        options.headers['Content-Type'] = 'application/json';
      } else options.signal = AbortSignal.timeout(8000);
      const answer = await fetch(path, options);
      const json = await answer.json().catch(() => null);
      if (answer.ok && json) return json;
      const problem = new Error((json && json.detail) || 'status ' + answer.status);
      problem.problem = json || {};
      problem.status = answer.status;
      throw problem;
    }

    function happened(text) {
      const line = el('li', new Date().toISOString().slice(11, 19) + '  ' + text, 'mono');
      $('events').prepend(line);
      while ($('events').childElementCount > 8) $('events').lastChild.remove();
    }

    let shownState = '';
    function state(name, node) {
      if (name === shownState) return;
      happened(name === 'unreachable' ? 'the node does not answer' : (node || 'the node') + ' is ' + name);
      shownState = name;
      $('state').className = 'pill ' + name;
      set('state', name);
      document.body.dataset.state = name;
      document.title = (node || 'Varve') + ' · ' + name;
    }

    // Where to read on about an error: its runbook, else the table of codes.
    const pageOf = p => p.runbook || (p.code ? 'docs/errors.md' : '');

    function note(title, problem, bad) {
      const box = el('div', null, bad ? 'note bad' : 'note');
      box.append(el('b', title));
      if (problem.code) box.append(el('code', problem.code));
      if (problem.detail) box.append(problem.detail);
      if (problem.next) box.append(el('div', 'Next: ' + problem.next));
      if (pageOf(problem)) {
        const line = el('div', problem.runbook ? 'Runbook: ' : 'More: ');
        line.append(el('code', pageOf(problem)));
        box.append(line);
      }
      return box;
    }

    const told = {
      starting: 'This node is starting and does not serve yet.',
      degraded: 'This node serves, but something fails.',
      stopped: 'This node has stopped: it answers no queries until the cause is gone and it is started again.',
      ready: 'Something fails.'
    };

    function showStatus(s) {
      state(s.state, s.node);
      set('node', s.node);
      set('version', 'version ' + s.version + (s.database ? ' · database ' + s.database.slice(0, 8) : ''));
      const notes = [];
      if (s.error || s.state === 'starting' || s.state === 'stopped')
        notes.push(note(told[s.state] || s.state, s.error || { detail: s.applied ? 'It reads the log, up to '
          + s.applied.position + ' so far.' : 'It opens log and storage.' }, s.state === 'stopped'));
      for (const w of s.warnings || []) notes.push(note('Warning', { detail: w }));
      $('notes').replaceChildren(...notes);
      const a = s.applied, lag = s.lag, rpo = s.rpo, open = s.openBlock;
      set('applied', a ? a.position : '–');
      set('appliedSub', a ? when(a.systemTime) || 'nothing written yet' : 'not known yet');
      set('lag', lag ? count(lag.records) : '–');
      set('lagSub', !lag ? '' : lag.records ? 'records behind, ' + span(lag.ms / 1000) : 'records: up to date');
      set('rpo', rpo ? count(rpo.transactions) : '–');
      set('rpoSub', !rpo ? '' : rpo.transactions ? 'transactions only in the log, ' + span(rpo.seconds)
        : 'everything is in blocks');
      set('open', open ? count(open.rows) : '–');
      set('openSub', open ? 'rows in block ' + open.number + ', ' + size(open.bytes)
        + (s.frozenBlocks ? '; ' + s.frozenBlocks + ' being written' : '') : '');
      set('adopted', s.adopted ? s.adopted.block : '–');
      set('adoptedSub', s.adopted ? 'to ' + s.adopted.position : 'no block yet');
      set('log', s.log ? s.log.kind + (s.log.topic ? ' · ' + s.log.topic : '') + ' · ends at ' + (s.log.end || '–')
        + ' · identity ' + s.log.identity : '–');
      set('chains', a ? 'input ' + a.inputChain + ' · effect ' + a.effectChain : '–');
      if (a) sample(a.position);
      showNodes(s);
    }

    // This node as it is, the others as their heartbeats in storage told this one some seconds ago.
    function showNodes(s) {
      const own = { node: s.node, state: s.state, applied: s.applied && s.applied.position, version: s.version,
        block: s.adopted && s.adopted.block };
      const nodes = [own, ...(s.peers || [])];
      rows('nodes', nodes.map(n => {
        const pill = el('td');
        pill.append(el('span', n.state, 'pill ' + n.state));
        if (n.error) pill.append(el('code', n.error));
        return [el('td', n.node), pill, el('td', n.applied || '–'), el('td', n.block ?? '–', 'num'),
          el('td', n === own ? 'now, this page' : 'changed ' + span(n.silentMs / 1000) + ' ago'),
          el('td', n.address || ''), el('td', n.version || '')];
      }), '');
    }

    function shape(name, attributes, title) {
      const e = document.createElementNS(svgSpace, name);
      for (const key in attributes) e.setAttribute(key, attributes[key]);
      if (title) {
        const t = document.createElementNS(svgSpace, 'title');
        t.textContent = title;
        e.append(t);
      }
      return e;
    }

    function sample(position) {
      const [epoch, offset] = position.split('-').map(Number);
      const before = samples[samples.length - 1];
      const at = performance.now();
      const rate = before && before.epoch === epoch && offset >= before.offset
        ? (offset - before.offset) / Math.max(.001, (at - before.at) / 1000) : 0;
      samples.push({ epoch, offset, at, rate });
      if (samples.length > 90) samples.shift();
      const top = Math.max(1, ...samples.map(s => s.rate));
      const step = 600 / 89, x0 = 600 - step * (samples.length - 1);
      const points = samples.map((s, i) => (x0 + i * step).toFixed(1) + ',' + (126 - s.rate / top * 118).toFixed(1));
      $('rate').replaceChildren(shape('line', { x1: 0, x2: 600, y1: 127, y2: 127 }),
        shape('polyline', { points: points.join(' ') }));
      set('rateSub', rate.toFixed(rate < 10 ? 1 : 0) + ' records/s now, at most ' + Math.max(...samples.map(s => s.rate)).toFixed(1) + ' in 3 minutes');
    }

    // Blocks stand where their newest write stands in time, several of one moment on top of each other.
    const bins = 60;
    let blocks = [], blocksTo;
    const clock = (ms, span) => {
      const text = new Date(ms).toISOString();
      return span < 864e5 ? text.slice(11, 19) : text.slice(5, 10) + ' ' + text.slice(11, 16);
    };
    function showBlocks() {
      const list = blocks.filter(b => b.systemTime).map(b => ({ ...b, at: Date.parse(b.systemTime) })).reverse();
      const newest = list[list.length - 1];
      $('blocks').replaceChildren(shape('line', { x1: 0, x2: 600, y1: 127, y2: 127 }));
      set('blocksFrom', '');
      set('blocksMiddle', '');
      set('blocksTo', '');
      if (!newest) {
        set('blocksSub', 'No block yet: the first one comes when the open block is full or old enough.');
        return;
      }
      const end = Math.max(Date.now(), newest.at), span = Math.max(6e4, end - Math.min(...list.map(b => b.at)));
      const columns = Array.from({ length: bins }, () => []);
      for (const b of list) columns[Math.min(bins - 1, Math.floor((b.at - end + span) / span * bins))].push(b);
      const top = Math.max(1, ...columns.map(c => c.reduce((sum, b) => sum + b.rows, 0)));
      const width = 600 / bins;
      columns.forEach((column, i) => {
        let y = 126;
        for (const b of column) {
          const height = Math.max(3, b.rows / top * 118);
          y -= height;
          $('blocks').append(shape('rect', { x: i * width + .5, y, width: width - 1, height: Math.max(1, height - 1),
            class: b.cut === 'time' ? 'time' : '' }, 'block ' + b.number + ' · ' + when(b.systemTime) + ' · ' + b.first
            + ' to ' + b.last + ' · ' + count(b.rows) + ' rows · ' + size(b.bytes) + ' · cut by ' + b.cut));
        }
      });
      set('blocksFrom', clock(end - span, span));
      set('blocksMiddle', clock(end - span / 2, span));
      set('blocksTo', clock(end, span) + ' UTC');
      set('blocksSub', 'Rows of the ' + (list.length === 1 ? 'only block' : list.length + ' newest blocks')
        + ' at the time of their newest write. Block ' + newest.number + ': ' + count(newest.rows) + ' rows, '
        + size(newest.bytes) + ', cut by ' + newest.cut + ', ' + when(newest.systemTime) + '.');
    }

    function rows(body, lines, empty) {
      $(body).replaceChildren(...(lines.length ? lines : [[el('td', empty, 'null')]]).map(cells => {
        const line = el('tr');
        line.append(...cells);
        return line;
      }));
    }

    function showEpochs(epochs) {
      rows('epochs', epochs.map(e => [el('td', e.epoch), el('td', e.began),
        el('td', e.log.kind + (e.log.topic ? ' · ' + e.log.topic : '')), el('td', e.end || 'open')]), 'none');
    }

    function showTables(tables) {
      rows('tables', tables.map(t => {
        const pick = el('button', t.name, 'link');
        pick.type = 'button';
        pick.onclick = () => { $('sql').value = 'SELECT * FROM "' + t.name + '" LIMIT 50'; run(); };
        const cell = el('td');
        cell.append(pick);
        return [cell, el('td', count(t.rows), 'num'), el('td', t.columns ? count(t.columns.length) : '', 'num')];
      }), 'no table yet');
    }

    async function refresh() {
      let next = every;
      try {
        const s = await ask('/v1/status');
        last = s;
        answeredAt = Date.now();
        $('login').hidden = true;
        $('content').hidden = false;
        $('live').classList.toggle('stale', s.state === 'starting' || s.state === 'stopped');
        showStatus(s);
        set('clock', '· seen ' + new Date().toISOString().slice(11, 19) + ' UTC');
        if (s.state !== 'starting' && s.state !== 'stopped') {
          const to = s.adopted ? s.adopted.block : -1;
          const [cut, epochs, tables] = await Promise.allSettled(
            [to === blocksTo ? null : ask('/v1/blocks?limit=60'), ask('/v1/epochs'), ask('/v1/tables')]);
          if (cut.value) [blocks, blocksTo] = [cut.value.blocks, to];
          showBlocks();
          if (epochs.value) showEpochs(epochs.value.epochs);
          if (tables.value) showTables(tables.value.tables);
          if (!round++) fromFragment();
        }
      } catch (e) {
        if (e.status === 401) {
          if (token) set('loginFault', 'The node does not accept this token.');
          $('login').hidden = false;
          $('content').hidden = true;
          $('state').className = 'pill';
          set('state', 'token needed');
          next = 0;
        } else if (e.problem) {
          $('live').classList.add('stale');
          $('notes').replaceChildren(note('The node refuses to tell its status.', e.problem, true));
        } else {
          $('live').classList.add('stale');
          state('unreachable', last && last.node);
          $('notes').replaceChildren(note('This node does not answer.', { detail: (answeredAt
            ? 'Last answer ' + span((Date.now() - answeredAt) / 1000) + ' ago; what is shown is from then. '
            : '') + 'It is asked again every two seconds.' }, true));
        }
      }
      if (next) setTimeout(refresh, next);
    }

    function cell(value) {
      if (value === null) return el('td', 'NULL', 'null');
      const text = typeof value === 'object' ? (value['@value'] || JSON.stringify(value)) : String(value);
      const short = text.length > 500 ? text.slice(0, 500) + '…' : text;
      const e = el('td', short, typeof value === 'number' ? 'num mono' : 'mono');
      if (text.length > 30) e.title = text.slice(0, 4000);
      return e;
    }

    const shownMax = 1000;
    async function run() {
      const sql = $('sql').value.trim();
      if (!sql || $('run').disabled) return;
      $('run').disabled = true;
      set('fault', '');
      set('resultSub', 'asking…');
      history.replaceState(null, '', '#sql=' + encodeURIComponent(sql));
      try {
        const answer = await ask('/v1/query', { sql });
        // Broken off behind its first rows.
        if (answer.error) throw Object.assign(new Error(answer.error.detail), { problem: answer.error });
        const head = el('tr');
        head.append(...answer.columns.map((c, i) => el('th', c.name, answer.rows.length
          && typeof answer.rows[0][i] === 'number' ? 'num' : '')));
        $('resultHead').replaceChildren(head);
        rows('resultBody', answer.rows.slice(0, shownMax).map(r => r.map(v => cell(v))), 'no rows');
        set('resultSub', count(answer.rows.length) + (answer.rows.length === 1 ? ' row' : ' rows')
          + (answer.rows.length > shownMax ? ' (' + count(shownMax) + ' shown)' : '') + ' in '
          + answer.elapsedMs.toFixed(1) + ' ms at ' + answer.position);
        document.body.dataset.query = 'done';
      } catch (e) {
        const p = e.problem;
        set('resultSub', '');
        $('resultHead').replaceChildren();
        $('resultBody').replaceChildren();
        set('fault', p ? (p.code ? p.code + ': ' : '') + (p.detail || e.message) + (p.next ? ' Next: ' + p.next : '')
          + (p.runbook ? ' Runbook: ' + p.runbook : '') : 'The node does not answer.');
        document.body.dataset.query = 'failed';
      }
      $('run').disabled = false;
    }

    function fromFragment() {
      if (!location.hash.startsWith('#sql=')) return;
      try { $('sql').value = decodeURIComponent(location.hash.slice(5)); } catch { return; }
      run();
    }

    $('ask').addEventListener('submit', e => { e.preventDefault(); run(); });
    $('sql').addEventListener('keydown', e => {
      if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); run(); }
    });
    $('login').addEventListener('submit', e => {
      e.preventDefault();
      token = $('token').value;
      sessionStorage.setItem('varve-token', token);
      $('token').value = '';
      set('loginFault', '');
      refresh();
    });
    refresh();
    """#

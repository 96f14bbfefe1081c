// The page: draws the pictures that come, sends clicks with the stamp of the picture they are on.
'use strict';

const $ = (id) => document.getElementById(id);
const canvas = $('picture');
const pen = canvas.getContext('2d');
const DRAG_PX = 6;        // on the screen, from which a press is a box
const RETRY_MS = 1000;    // to call the server again
const DIGITS_MS = 700;    // within which a second digit belongs to the first
const MARK_MS = { asked: 60000, done: 1000, refused: 2500 };

let socket = null;
let shown = null;         // the picture on the screen: bitmap, stamp, width, height, objects
let waiting = null;       // the one that came while the shown one is held by a press
let press = null;         // a mouse button or finger that is down: picture, from, to, background
let cross = null;         // x, y of the keyboard's cross
let corner = null;        // the first corner of the keyboard's box: x, y, picture
let selected = 0;         // id of the object that prompts refine; 0: none
let background = false;   // whether plain clicks are on the background
let status = {};
let marks = [];           // where was clicked: x, y, background, state, until
let asked = 0;            // number of the newest request
const answers = new Map();

// -- the server ---------------------------------------------------------------------------------

function connect() {
  const address = new URL('socket', location.href);
  address.search = location.search;
  address.protocol = address.protocol.replace('http', 'ws');
  socket = new WebSocket(address);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => (typeof data === 'string' ? hear(JSON.parse(data)) : see(data));
  socket.onclose = ({ reason }) => {
    tellStatus({ silence: `No connection to the page's server${reason ? `: ${reason}` : ''}. Trying again …` });
    answers.clear();
    if (!document.hidden) setTimeout(connect, RETRY_MS);
  };
}

// A page that nobody sees costs nothing.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) socket.close();
  else if (socket.readyState === WebSocket.CLOSED) connect();
});

function ask(what, whenAnswered = () => {}) {
  if (socket.readyState !== WebSocket.OPEN) return say('There is no connection to the server.', false);
  asked += 1;
  answers.set(asked, whenAnswered);
  socket.send(JSON.stringify({ n: asked, ...what }));
}

function hear(message) {
  if (message.kind === 'status') return tellStatus(message);
  say(message.message, message.success);
  answers.get(message.n)?.(message.success);
  answers.delete(message.n);
}

async function see(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const picture = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  try {
    picture.bitmap = await createImageBitmap(new Blob([new Uint8Array(buffer, 4 + length)], { type: 'image/jpeg' }));
  } catch {
    say('A picture came that cannot be read.', false);
    return socket.send('{"do": "shown"}');
  }
  if (press || corner) waiting = picture; // what is marked stays under the hand
  else show(picture);
}

function show(picture) {
  shown?.bitmap.close();
  shown = picture;
  waiting = null;
  if (canvas.width !== picture.bitmap.width || canvas.height !== picture.bitmap.height) {
    canvas.width = picture.bitmap.width;
    canvas.height = picture.bitmap.height;
    canvas.style.setProperty('--ratio', canvas.width / canvas.height);
  }
  listObjects(picture.objects);
  draw();
  if (socket.readyState === WebSocket.OPEN) socket.send('{"do": "shown"}');
}

function goOn() {
  if (waiting) show(waiting);
  else draw();
}

// -- words --------------------------------------------------------------------------------------

function say(text, success = true) {
  $('said').textContent = text;
  $('said').classList.toggle('refused', !success);
}

function tellStatus(now) {
  status = now;
  const parts = [];
  if (now.rate_hz) parts.push(`${now.rate_hz.toFixed(1)} masks per second`);
  if (now.rate_hz && now.age_ms != null) parts.push(`${now.age_ms} ms old`);
  if (now.viewers > 1) parts.push(`${now.viewers} viewers`);
  setText($('figures'), parts.join(' · ') || 'no masks');
  setText($('silence'), now.silence || '');
  $('view').classList.toggle('silent', Boolean(now.silence));
  $('automatic').hidden = !now.can_target;
  $('automatic').setAttribute('aria-pressed', now.target === 0);
  for (const row of $('objects').children) showTarget(row);
}

function setText(element, text) { // an unchanged text is not read out again
  if (element.textContent !== text) element.textContent = text;
}

// -- the list of objects ------------------------------------------------------------------------

function listObjects(objects) {
  const rows = new Map([...$('objects').children].map((row) => [Number(row.dataset.id), row]));
  for (const object of objects) {
    const row = rows.get(object.id) ?? addRow(object);
    rows.delete(object.id);
    showObject(row, object);
  }
  for (const row of rows.values()) row.remove();
  $('none').hidden = objects.length > 0;
  $('reset').disabled = objects.length === 0;
  setText($('title'), objects.length ? `Objects (${objects.length})` : 'Objects');
  if (selected && !objects.some(({ id }) => id === selected)) select(0);
  const names = objects.map(({ id, label, state }) => `${id} ${label} ${state}`).join(', ');
  canvas.setAttribute('aria-label', `camera picture, ${names || 'no objects'}`);
}

function addRow({ id, color }) {
  const row = document.createElement('li');
  row.dataset.id = id;
  row.innerHTML = `
    <button class="pick" aria-pressed="false"><span class="swatch"></span><span>${Number(id)}</span></button>
    <input maxlength="256" placeholder="label" autocomplete="off">
    <span><button class="target" hidden>Target</button> <button class="remove">Remove</button></span>
    <span class="how"><span class="state"></span><meter min="0" max="1"></meter><span class="score"></span></span>`;
  row.querySelector('.swatch').style.background = color;
  row.querySelector('.pick').onclick = () => select(selected === id ? 0 : id);
  row.querySelector('.remove').onclick = () => ask({ do: 'remove', object_id: id });
  row.querySelector('.target').onclick = () => ask({ do: 'target', object_id: id });
  const input = row.querySelector('input');
  input.onchange = () => ask({ do: 'label', object_id: id, label: input.value });
  input.onkeydown = ({ key }) => {
    if (key === 'Escape') input.value = row.dataset.label;
    if (key === 'Escape' || key === 'Enter') input.blur();
  };
  const after = [...$('objects').children].find((other) => Number(other.dataset.id) > id);
  $('objects').insertBefore(row, after ?? null);
  return row;
}

function showObject(row, { id, label, state, score }) {
  const name = `object ${id} ${label}`.trim();
  if (row.dataset.state && row.dataset.state !== state) say(`${name}: ${state}`);
  const input = row.querySelector('input');
  if (document.activeElement !== input && row.dataset.label !== label) input.value = label;
  if (row.dataset.name !== name) nameControls(row, name);
  Object.assign(row.dataset, { label, state, name });
  row.className = state;
  setText(row.querySelector('.state'), state);
  setText(row.querySelector('.score'), score.toFixed(2));
  row.querySelector('meter').value = score;
  showTarget(row);
}

function nameControls(row, name) {
  const names = { '.pick': `select ${name}`, input: `label of ${name}`, '.target': `make ${name} the target`, '.remove': `remove ${name}`, meter: `score of ${name}` };
  for (const [part, text] of Object.entries(names)) row.querySelector(part).setAttribute('aria-label', text);
}

function showTarget(row) {
  const button = row.querySelector('.target');
  button.hidden = !status.can_target;
  button.setAttribute('aria-pressed', status.target === Number(row.dataset.id));
}

function select(id) {
  selected = id;
  for (const row of $('objects').children) {
    row.querySelector('.pick').setAttribute('aria-pressed', Number(row.dataset.id) === id);
  }
  $('deselect').hidden = !id;
  setText($('what'), id ? `Clicks and boxes refine object ${id}.` : '');
  draw();
}

// -- prompts ------------------------------------------------------------------------------------

function click(picture, { x, y }, onBackground) {
  const mark = { x, y, background: onBackground };
  setMark(mark, 'asked');
  marks.push(mark);
  const where = { stamp: picture.stamp, x: Math.min(x, picture.width - 0.01), y: Math.min(y, picture.height - 0.01) };
  ask({ do: 'click', ...where, background: onBackground, selected }, (success) => setMark(mark, success ? 'done' : 'refused'));
}

function box(picture, from, to) {
  ask({ do: 'box', stamp: picture.stamp, x0: from.x, y0: from.y, x1: to.x, y1: to.y, selected });
}

function setMark(mark, state) {
  Object.assign(mark, { state, until: Date.now() + MARK_MS[state] });
  draw();
  setTimeout(() => { marks = marks.filter(({ until }) => until > Date.now()); draw(); }, MARK_MS[state] + 20);
}

function placeOf(event) { // in pixels of the image
  const area = canvas.getBoundingClientRect();
  const part = (value, side) => Math.max(0, Math.min(1, value / side));
  return { x: part(event.clientX - area.left, area.width) * shown.width, y: part(event.clientY - area.top, area.height) * shown.height };
}

const isFar = ({ start, now }) => Math.hypot(now.clientX - start.clientX, now.clientY - start.clientY) > DRAG_PX;

canvas.oncontextmenu = (event) => event.preventDefault();
canvas.onpointerdown = (event) => {
  if (!shown || press || ![0, 2].includes(event.button)) return;
  canvas.setPointerCapture(event.pointerId);
  const onBackground = background || event.button === 2 || event.shiftKey;
  press = { id: event.pointerId, picture: shown, start: event, now: event, from: placeOf(event), to: placeOf(event), background: onBackground };
  cross = corner = null;
};
canvas.onpointermove = (event) => {
  if (press?.id !== event.pointerId) return;
  Object.assign(press, { now: event, to: placeOf(event) });
  draw();
};
canvas.onpointerup = (event) => {
  if (press?.id !== event.pointerId) return;
  const { picture, from, to } = press;
  if (!isFar(press)) click(picture, from, press.background);
  else if (press.background) say('A box goes around an object: drag without shift, with the left button.', false);
  else box(picture, from, to);
  press = null;
  goOn();
};
canvas.onpointercancel = giveUp;

function giveUp() {
  press = corner = null;
  goOn();
}

function setBackground(on) {
  background = on;
  $('on-object').setAttribute('aria-pressed', !on);
  $('on-background').setAttribute('aria-pressed', on);
}

$('on-object').onclick = () => setBackground(false);
$('on-background').onclick = () => setBackground(true);
$('deselect').onclick = () => select(0);
$('automatic').onclick = () => ask({ do: 'target', object_id: 0 });
$('reset').onclick = () => { if (confirm('Stop tracking all objects?')) ask({ do: 'reset' }); };

// -- keys ---------------------------------------------------------------------------------------

let digits = { text: '', at: 0 };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener('keydown', (event) => {
  if (event.target.tagName === 'INPUT' || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target === canvas && shown && moveOrClick(event)) return event.preventDefault();
  if (/^\d$/.test(event.key)) selectByDigit(event.key);
  else if (event.key === 'Escape') { select(0); giveUp(); }
  else if (event.key === 'Delete' && selected) ask({ do: 'remove', object_id: selected });
  else if (event.key.toLowerCase() === 'b') setBackground(!background);
});

function selectByDigit(digit) {
  const now = Date.now();
  digits = { text: now - digits.at < DIGITS_MS ? digits.text + digit : digit, at: now };
  const id = Number(digits.text);
  if ($('objects').querySelector(`[data-id="${id}"]`)) select(id);
  else say(`There is no object ${id}.`, false);
}

function moveOrClick({ key, shiftKey }) { // on the picture; returns whether the key was for it
  cross ??= { x: shown.width / 2, y: shown.height / 2 };
  if (ARROWS[key]) {
    const step = (shiftKey ? 0.002 : 0.02) * shown.width;
    cross.x = Math.max(0, Math.min(shown.width, cross.x + ARROWS[key][0] * step));
    cross.y = Math.max(0, Math.min(shown.height, cross.y + ARROWS[key][1] * step));
  } else if (key.toLowerCase() === 'c') corner = { ...cross, picture: shown };
  else if (key === 'Enter' || key === ' ') {
    if (corner) box(corner.picture, corner, cross);
    else click(shown, cross, background || shiftKey);
    corner = null;
    goOn();
  } else return false;
  draw();
  return true;
}

// -- drawing ------------------------------------------------------------------------------------

function draw() {
  if (!shown) return;
  const scale = canvas.width / shown.width;                        // of the picture to the image
  const px = canvas.width / (canvas.clientWidth || canvas.width);  // of the screen, in the picture
  pen.drawImage(shown.bitmap, 0, 0);
  const chosen = shown.objects.find(({ id }) => id === selected);
  if (chosen?.box) drawBox(chosen.box.map((value) => value * scale), px, '#fff', [6 * px, 4 * px]);
  const from = press && isFar(press) && !press.background ? press.from : corner;
  const to = press ? press.to : cross;
  if (from && to) drawBox([from.x, from.y, to.x, to.y].map((value) => value * scale), px, '#fff', []);
  if (cross) drawCross(cross.x * scale, cross.y * scale, px);
  for (const mark of marks) drawMark(mark, scale, px);
}

function drawBox([x0, y0, x1, y1], px, color, dash) {
  for (const [width, ink] of [[4, '#000a'], [2, color]]) {
    pen.setLineDash(dash);
    pen.lineWidth = width * px;
    pen.strokeStyle = ink;
    pen.strokeRect(x0, y0, x1 - x0, y1 - y0);
  }
  pen.setLineDash([]);
}

function drawCross(x, y, px) {
  for (const [width, ink] of [[4, '#000a'], [1.5, '#fff']]) {
    pen.lineWidth = width * px;
    pen.strokeStyle = ink;
    pen.beginPath();
    pen.moveTo(x - 12 * px, y); pen.lineTo(x + 12 * px, y);
    pen.moveTo(x, y - 12 * px); pen.lineTo(x, y + 12 * px);
    pen.stroke();
  }
}

function drawMark({ x, y, background: minus, state }, scale, px) { // green plus or red minus
  pen.globalAlpha = state === 'asked' ? 0.6 : 1;
  pen.beginPath();
  pen.arc(x * scale, y * scale, 9 * px, 0, 2 * Math.PI);
  pen.fillStyle = state === 'refused' ? '#555' : minus ? '#d32f2f' : '#2e9e4f';
  pen.fill();
  pen.lineWidth = 2 * px;
  pen.strokeStyle = '#fff';
  pen.stroke();
  pen.fillStyle = '#fff';
  pen.font = `bold ${14 * px}px sans-serif`;
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  pen.fillText(state === 'refused' ? '×' : minus ? '−' : '+', x * scale, y * scale);
  pen.globalAlpha = 1;
}

connect();

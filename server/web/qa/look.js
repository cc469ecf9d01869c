// What the reader looks at and since when, without the time in which the page could not be seen; and how long the screen took.

/** Milliseconds since 1970, of a moment on the page's own clock. */
export const clock = (moment) => Math.round(performance.timeOrigin + moment);

export class Look {
  constructor() {
    /** @type {?{candidate: ?string, since: number, hidden: number, ready: boolean, away: ?number}} candidate: none at a study's end */
    this.at = null;
    this._timed = null;
    document.addEventListener("visibilitychange", () => this._seen());
  }

  /** Begin to look at a candidate whose picture is still to come, or at the end of a study. @param {?string} candidate */
  begin(candidate) {
    this.at = { candidate, since: performance.now(), hidden: 0, ready: !candidate, away: null };
  }

  /** The picture is on the screen: it is looked at from now on. */
  ready() {
    Object.assign(this.at, { ready: true, since: performance.now(), hidden: 0 });
    this.at.away = document.hidden ? this.at.since : null;
  }

  end() {
    this.at = null;
  }

  /** How long it was looked at. @param {number} moment */
  seconds(moment) {
    return Math.max(0, moment - this.at.since - this.at.hidden) / 1000;
  }

  /** What an event tells of it. @param {{device: string, at: number}} how */
  told({ device, at }) {
    const { since, hidden } = this.at;
    return { shown_at: clock(since), decided_at: clock(Math.max(at, since)), hidden_ms: Math.round(hidden), device };
  }

  _seen() {
    if (!this.at) return;
    const now = performance.now();
    if (document.hidden) this.at.away = now;
    else if (this.at.away) {
      this.at.hidden += now - this.at.away;
      this.at.away = null;
    }
  }

  /** Time what was just done, from its key or click on. @param {string} name @param {number} began */
  time(name, began) {
    this._timed = { name, began };
  }

  /** Note how long it took until what came of it was on the screen. */
  measured() {
    const timed = this._timed;
    if (!timed) return;
    this._timed = null;
    requestAnimationFrame(() => {
      const painted = new MessageChannel();
      painted.port1.onmessage = () => performance.measure(timed.name, { start: timed.began, end: performance.now() });
      painted.port2.postMessage(null);
    });
  }
}

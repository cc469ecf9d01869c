// What is fetched before it is wanted: the rest of a study's cards, then those of the studies that come after it.

const CARDS_UNPACKED = 2;

const quiet = () => {};

/**
 * @param {import("./shelf.js").Shelf} shelf
 * @param {import("./desk.js").Desk} desk
 * @param {(layout: import("./api.js").Layout) => string} presetOf name of the window, or of what is shown of an image
 */
export async function fetchAhead(shelf, desk, presetOf) {
  const { reading } = desk;
  if (!reading) return;
  const preset = presetOf(reading.layout);
  const rest = reading.cards.filter((card) => !reading.verdicts.has(card.candidate) && card !== reading.card);
  const place = (card) => (reading.cards.indexOf(card) - reading.at + reading.cards.length) % reading.cards.length;
  rest.sort((a, b) => place(a) - place(b));
  rest.slice(0, CARDS_UNPACKED).forEach((card) => shelf.card(reading.layout, card.candidate, preset).catch(quiet));
  rest.slice(CARDS_UNPACKED).forEach((card) => shelf.fetch(reading.layout, card.candidate, preset).catch(quiet));
  const { ahead, studies } = await desk.upcoming();
  if (ahead && ahead !== reading) {
    const open = ahead.cards.filter((card) => !ahead.verdicts.has(card.candidate));
    if (rest.length <= 1 && open.length) shelf.card(ahead.layout, open[0].candidate, presetOf(ahead.layout)).catch(quiet);
    open.forEach((card) => shelf.fetch(ahead.layout, card.candidate, presetOf(ahead.layout)).catch(quiet));
  }
  for (const study of studies) {
    const layout = await shelf.layout(study).catch(() => null);
    for (const uid of layout ? Object.keys(layout.cards) : []) shelf.fetch(layout, uid, presetOf(layout)).catch(quiet);
  }
}

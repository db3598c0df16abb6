// Sphinx finds only pages that hold every word of a question, and puts a word in the text of a page on a level with any
// other. Here a page is found by some of the words, the rarer the better, and by its title and keywords before its text.
"use strict";

const WEIGHTS = { title: 3, keyword: 3, text: 1, part: 0.4 };
const FOLDERS = [
  [/\/index$|^CHANGELOG/, 0.4],
  [/^docs\/how_to\//, 1.3],
  [/^docs\/reference\/api\//, 0.6],
  [/^experiments\//, 0.7],
];
const LEAST = 0.25; // share of the best page's score that a page must have
Scorer.objNameMatch = 28; // a function of that very name: after a page with the word in its title or keywords

const weigh = (docname) => FOLDERS.reduce((weight, [folder, by]) => (folder.test(docname) ? weight * by : weight), 1);

// {file: weight} of the pages that hold a word, or a longer word that it begins.
const holding = (index, word, whole) => {
  const files = {};
  for (const term of Object.keys(index)) {
    const weight = term === word ? whole : word.length > 2 && term.startsWith(word) ? whole * WEIGHTS.part : 0;
    if (weight) for (const file of [index[term]].flat()) files[file] = Math.max(files[file] || 0, weight);
  }
  return files;
};

Search.performTermsSearch = (words, excluded) => {
  const { terms, titleterms, titles, docnames, filenames } = Search._index;
  const keywords = Object.create(null);
  docnames.forEach((name, file) => PAGES[name]?.[1].forEach((word) => (keywords[word] ||= []).push(file)));
  const scores = docnames.map(() => 0);
  for (const word of words) {
    const text = holding(terms, word, WEIGHTS.text);
    const found = [text, holding(titleterms, word, WEIGHTS.title), holding(keywords, word, WEIGHTS.keyword)];
    const rarity = Math.log(1 + docnames.length / (1 + Object.keys(text).length));
    scores.forEach((_, file) => (scores[file] += rarity * Math.max(...found.map((files) => files[file] || 0))));
  }
  for (const word of excluded) for (const file of Object.keys(holding(terms, word, 1))) scores[file] = 0;
  const weighed = scores.map((score, file) => 10 * score * weigh(docnames[file]));
  const least = LEAST * Math.max(...weighed);
  return weighed.flatMap((score, file) =>
    score > 0 && score >= least
      ? [[docnames[file], titles[file], "", null, score, filenames[file], SearchResultKind.text]]
      : []);
};

// Each page once, with its first line, which needs no request.
const search = Search._performSearch;
Search._performSearch = (...query) => {
  const seen = new Set();
  const best = search(...query).reverse().filter(([docname, , anchor, , , , kind]) => {
    const page = kind === SearchResultKind.object ? docname + anchor : docname;
    return !seen.has(page) && seen.add(page);
  });
  best.forEach((result) => (result[3] ??= PAGES[result[0]]?.[0] || " "));
  localStorage.removeItem("sphinx_highlight_terms"); // or every page would be read with its words marked
  return best.reverse();
};

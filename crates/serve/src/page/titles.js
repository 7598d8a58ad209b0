// Titles as people say them: MovieLens sorts by "Matrix, The".

const ARTICLES = "The|A|An|La|Le|Les|L'|Il|El|Lo|Los|Las|Das|Der|Die|Den|Det|De|Het|O|Os|Un|Une|Una|Ein|Eine";
const MOVED = new RegExp(`(a\\.k\\.a\\. )?([^()]+), (${ARTICLES})(?= \\(|\\)|$)`, "g");

const before = (article, rest) => (article.endsWith("'") ? article + rest : `${article} ${rest}`);

/** The whole title: "The Postman (Il Postino)". */
export function fullTitle(movie) {
  return movie.title.replace(MOVED, (_, known = "", rest, article) => known + before(article, rest));
}

/** The title without its other names: "The Postman". */
export function shortTitle(movie) {
  return fullTitle({ title: movie.title.replace(/(.) \(.*\)$/, "$1") });
}

/** The title and the year, to tell films of one title apart. */
export function titleAndYear(movie) {
  return movie.year ? `${fullTitle(movie)} (${movie.year})` : fullTitle(movie);
}

/** A reason as a sentence of its own: "Because you liked The Matrix and Fargo". */
export const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

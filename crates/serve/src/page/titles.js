// Titles as people say them.

/** The whole title and the year, to tell films of one name apart. */
export const fullNameAndYear = (movie) => (movie.year ? `${movie.full_name} (${movie.year})` : movie.full_name);

/** A reason as a sentence of its own: "Because you liked The Matrix and Fargo". */
export const sentence = (words) => words.charAt(0).toUpperCase() + words.slice(1);

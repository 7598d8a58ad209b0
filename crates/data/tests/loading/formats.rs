use arrow_array::cast::AsArray;
use arrow_array::types::{UInt8Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use mmdlrm_data::{Format, MovieLens, Movies, Ratings};

use crate::{Folder, RATINGS, good, gzip};

fn strings(table: &RecordBatch, column: &str) -> Vec<String> {
    let column = table.column_by_name(column).unwrap().as_string::<i32>();
    (0..column.len())
        .map(|row| column.value(row).to_owned())
        .collect()
}

fn titles(movies: &Movies) -> Vec<(&str, Option<i32>, Vec<String>)> {
    (0..movies.len())
        .map(|row| {
            (
                movies.title(row),
                movies.year(row),
                movies.genres(row).collect(),
            )
        })
        .collect()
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn ml_100k() -> Vec<(&'static str, Vec<u8>)> {
    let genres = "unknown|0\nAction|1\nComedy|2\n\n";
    // é and í in Latin-1; a title without a year; one without a date.
    let items = b"1|Toy Story (1995)|01-Jan-1995||http://a|0|0|1\n\
                  2|Mis\xe9rables, Les|04-Mar-1998||http://b|0|1|1\n\
                  267|unknown||||1|0|0\n";
    vec![
        (
            "u.data",
            b"196\t1\t3\t881250949\n186\t2\t5\t891717742\n196\t267\t1\t881250950\n".to_vec(),
        ),
        ("u.item", items.to_vec()),
        (
            "u.user",
            b"186|24|M|technician|85711\n196|53|F|other|T8H1N\n".to_vec(),
        ),
        ("u.genre", genres.into()),
    ]
}

fn ml_1m() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "ratings.dat",
            b"1::1193::5::978300760\n1::661::3::978302109\n".to_vec(),
        ),
        (
            "movies.dat",
            b"661::James and the Giant Peach (1996)::Animation|Children's\n\
              1193::Cit\xe9 des enfants perdus, La (1995)::Drama\n"
                .to_vec(),
        ),
        (
            "users.dat",
            b"1::F::1::10::48067\n2::M::56::16::70072\n".to_vec(),
        ),
    ]
}

fn ml_10m() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("ratings.dat", b"1::122::4.5::838985046\n1::185::0.5::838983525\n".to_vec()),
        (
            "movies.dat",
            "122::Caf\u{e9} :: Paris (1992)::Comedy|Romance\n185::Net, The (1995)::(no genres listed)\n".into(),
        ),
        ("tags.dat", b"15::122::excellent!::1215184630\n20::185::a::b::1188263867\n".to_vec()),
    ]
}

/// Writes the files as they are, or compressed.
fn folder(files: &[(&str, Vec<u8>)], compressed: bool) -> Folder {
    let folder = Folder::new(&[]);
    for (name, bytes) in files {
        if compressed {
            folder.write(&format!("{name}.gz"), gzip(bytes));
        } else {
            folder.write(name, bytes);
        }
    }
    folder
}

#[test]
fn ml_100k_is_read() {
    for compressed in [false, true] {
        let folder = folder(&ml_100k(), compressed);
        let movielens = MovieLens::open(folder.path()).unwrap();
        assert_eq!(movielens.format, Some(Format::Ml100k));
        assert_eq!(movielens.ratings.user_ids(), [196, 186, 196]);
        assert_eq!(movielens.ratings.stars(), [3.0, 5.0, 1.0]);
        assert_eq!(movielens.ratings.timestamps()[1], 891_717_742);
        let expected = [
            ("Toy Story", Some(1995), owned(&["Comedy"])),
            (
                "Mis\u{e9}rables, Les",
                Some(1998),
                owned(&["Action", "Comedy"]),
            ),
            ("unknown", None, vec![]),
        ];
        assert_eq!(titles(&movielens.movies), expected);
        let users = movielens.users.unwrap();
        assert_eq!(strings(&users, "gender"), ["M", "F"]);
        assert_eq!(strings(&users, "occupation"), ["technician", "other"]);
        assert_eq!(strings(&users, "zipCode"), ["85711", "T8H1N"]);
        assert_eq!(
            users.column(2).as_primitive::<UInt8Type>().values(),
            &[24, 53]
        );
    }
}

#[test]
fn ml_1m_is_read() {
    for compressed in [false, true] {
        let folder = folder(&ml_1m(), compressed);
        let movielens = MovieLens::open(folder.path()).unwrap();
        assert_eq!(movielens.format, Some(Format::Ml1m));
        assert_eq!(movielens.ratings.movie_ids(), [1193, 661]);
        let expected = [
            (
                "James and the Giant Peach",
                Some(1996),
                owned(&["Animation", "Children's"]),
            ),
            (
                "Cit\u{e9} des enfants perdus, La",
                Some(1995),
                owned(&["Drama"]),
            ),
        ];
        assert_eq!(titles(&movielens.movies), expected);
        let users = movielens.users.unwrap();
        assert_eq!(strings(&users, "gender"), ["F", "M"]);
        assert_eq!(
            strings(&users, "occupation"),
            ["K-12 student", "self-employed"]
        );
        assert_eq!(
            users.column(2).as_primitive::<UInt8Type>().values(),
            &[1, 56]
        );
    }
}

#[test]
fn ml_10m_is_read_with_separators_inside_titles_and_tags() {
    for compressed in [false, true] {
        let folder = folder(&ml_10m(), compressed);
        let movielens = MovieLens::open(folder.path()).unwrap();
        assert_eq!(movielens.format, Some(Format::Ml10m));
        assert_eq!(movielens.ratings.stars(), [4.5, 0.5]);
        let expected = [
            (
                "Caf\u{e9} :: Paris",
                Some(1992),
                owned(&["Comedy", "Romance"]),
            ),
            ("Net, The", Some(1995), vec![]),
        ];
        assert_eq!(titles(&movielens.movies), expected);
        assert_eq!(
            strings(&movielens.tags.unwrap(), "tag"),
            ["excellent!", "a::b"]
        );
        assert!(movielens.users.is_none() && movielens.links.is_none());
    }
}

#[test]
fn csv_releases_are_read_with_all_their_tables() {
    let movies = "movieId,title,genres\n\
                  1,\"American President, The (1995) \",Comedy|Drama\n\
                  2,\"\"\"Great Performances\"\" Cats (1998)\",Musical\n\
                  5,Babylon 5,(no genres listed)\n\
                  8,\"City of Lost Children, The (Cit\u{e9}, La) (1995)\",Fantasy\n";
    let files = [
        ("movies.csv", movies.into()),
        ("ratings.csv", RATINGS.into()),
        (
            "links.csv",
            "movieId,imdbId,tmdbId\n1,0112346,9087\n5,0105946,\n".into(),
        ),
        (
            "tags.csv",
            "userId,movieId,tag,timestamp\n1,5,\"a, \"\"b\"\"\",300\n".into(),
        ),
        ("genome-tags.csv", "tagId,tag\n1,007\n2,noir\n".into()),
        (
            "genome-scores.csv",
            "movieId,tagId,relevance\n1,1,0.028749999999999998\n1,2,0.5\n8,2,1\n".into(),
        ),
    ];
    for compressed in [false, true] {
        let folder = folder(&files, compressed);
        let movielens = MovieLens::open(folder.path()).unwrap();
        assert_eq!(movielens.format, Some(Format::Csv));
        let expected = [
            (
                "American President, The",
                Some(1995),
                owned(&["Comedy", "Drama"]),
            ),
            (
                "\"Great Performances\" Cats",
                Some(1998),
                owned(&["Musical"]),
            ),
            ("Babylon 5", None, vec![]),
            (
                "City of Lost Children, The (Cit\u{e9}, La)",
                Some(1995),
                owned(&["Fantasy"]),
            ),
        ];
        assert_eq!(titles(&movielens.movies), expected);
        let links = movielens.links.as_ref().unwrap();
        assert_eq!(strings(links, "imdbId"), ["0112346", "0105946"]);
        assert!(links.column(2).is_null(1));
        assert_eq!(
            strings(movielens.tags.as_ref().unwrap(), "tag"),
            ["a, \"b\""]
        );
        let genome = movielens.genome.as_ref().unwrap();
        assert_eq!(strings(genome.tags(), "tag"), ["007", "noir"]);
        assert_eq!(
            genome
                .scores()
                .column(0)
                .as_primitive::<UInt32Type>()
                .values(),
            &[1, 8]
        );
        let modality = genome.modality(&movielens.movies.index()).unwrap();
        assert_eq!(
            (modality.name(), modality.width(), modality.present()),
            ("genome", 2, 2)
        );
        assert_eq!(modality.row_of_movie()[3], 1);
    }
}

#[test]
fn every_release_gives_the_same_schemas() {
    for files in [ml_100k(), ml_1m(), ml_10m()] {
        let folder = folder(&files, false);
        let movielens = MovieLens::open(folder.path()).unwrap();
        assert_eq!(movielens.ratings.table().schema(), Ratings::schema());
        assert_eq!(movielens.movies.table().schema(), Movies::schema());
    }
    let movielens = MovieLens::open(good().path()).unwrap();
    assert_eq!(movielens.ratings.table().schema(), Ratings::schema());
    assert_eq!(movielens.movies.table().schema(), Movies::schema());
}

#[test]
fn ratings_of_millions_and_hundreds_are_read_alike() {
    // Enough for several blocks, whose borders fall in the middle of rows.
    let rows: Vec<(u32, u32, u32)> = (0..60_000)
        .map(|i| (1 + i / 50, 1 + i % 50, i * 71))
        .collect();
    let stars = |row: usize| ["0.5", "1", "3.5", "4.0", "5.0"][row % 5];
    let movies: String = (1..=50).map(|id| format!("{id},x,\n")).collect();
    for (line_end, last) in [("\n", "\n"), ("\n", ""), ("\r\n", "\r\n"), ("\n", "\n\n")] {
        let body: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(row, (user, movie, time))| format!("{user},{movie},{},{time}", stars(row)))
            .collect();
        let text = format!(
            "userId,movieId,rating,timestamp{line_end}{}{last}",
            body.join(line_end)
        );
        let folder = Folder::new(&[
            (
                "movies.csv",
                format!("movieId,title,genres\n{movies}").as_bytes(),
            ),
            ("ratings.csv", text.as_bytes()),
        ]);
        let ratings = MovieLens::open(folder.path()).unwrap().ratings;
        assert_eq!(ratings.len(), rows.len());
        for (row, &(user, movie, time)) in rows.iter().enumerate() {
            assert_eq!(ratings.user_ids()[row], user);
            assert_eq!(ratings.movie_ids()[row], movie);
            assert_eq!(ratings.stars()[row], stars(row).parse::<f32>().unwrap());
            assert_eq!(ratings.timestamps()[row], time);
        }
    }
}

#[test]
fn a_plain_file_goes_before_a_compressed_one() {
    let folder = good();
    folder.write("ratings.csv.gz", b"not gzip");
    assert_eq!(MovieLens::open(folder.path()).unwrap().ratings.len(), 3);
}

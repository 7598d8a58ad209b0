//! Posters and plots: what of a file can be used, and what is said of the rest.

use std::path::PathBuf;

use mmdlrm_data::{LeftOutBecause, MovieLens, Poster, SideRows, Summary};

use super::good;

fn posters(text: &str) -> Result<SideRows<Poster>, String> {
    let folder = good();
    folder.write("posters.csv", text);
    let movies = MovieLens::open(folder.path()).unwrap().movies;
    let read = Poster::read_all(&folder.file("posters.csv"), Some(&movies));
    read.map_err(|error| error.to_string())
}

fn plots(text: &str) -> Result<SideRows<Summary>, String> {
    let folder = good();
    folder.write("plots.csv", text);
    let movies = MovieLens::open(folder.path()).unwrap().movies;
    let read = Summary::read_all(&folder.file("plots.csv"), Some(&movies));
    read.map_err(|error| error.to_string())
}

fn ids(posters: &SideRows<Poster>) -> Vec<u32> {
    posters.rows.iter().map(|it| it.movie_id).collect()
}

#[test]
fn rows_that_cannot_be_used_are_counted_and_the_first_of_each_kind_is_named() {
    let read = posters(
        "movieId,poster_path\n1,1.jpg\n77,77.jpg\n88,88.jpg\n2,\n2,https://a.org/2.jpg\n\
         2,2.jpg\n1,other.jpg\n",
    )
    .unwrap();
    assert_eq!(ids(&read), [1, 2]);
    assert!(read.rows[1].path.ends_with("2.jpg"));
    let of = |reason| read.left_out.because(reason);
    assert_eq!(
        [
            of(LeftOutBecause::UnknownMovie),
            of(LeftOutBecause::Blank),
            of(LeftOutBecause::NotAFile),
            of(LeftOutBecause::Duplicate)
        ],
        [2, 1, 1, 1]
    );
    assert_eq!(read.left_out.rows(), 5);
    let notes: Vec<String> = read.left_out.notes().collect();
    assert_eq!(notes.len(), 4);
    for (start, part) in [
        (
            "left out: 2 rows of movies that the table",
            "line 3, column 'movieId': '77'",
        ),
        (
            "left out: 1 row of movies that have an",
            "line 8, column 'movieId': '1'",
        ),
        (
            "left out: 1 row without a path",
            "line 5, column 'poster_path'",
        ),
        (
            "left out: 1 row that name",
            "line 6, column 'poster_path': 'https://a.org/2.jpg'",
        ),
    ] {
        let note = notes.iter().find(|it| it.starts_with(start)).unwrap();
        assert!(
            note.contains(part) && note.contains("posters.csv"),
            "{note}"
        );
    }
}

#[test]
fn a_file_of_which_no_row_can_be_used_is_refused() {
    for (rows, parts) in [
        (
            "77,77.jpg\n88,8.jpg",
            &["line 2", "'77' is not a movie", "none of the 2 rows"][..],
        ),
        (
            "1,http://a.org/1.jpg",
            &["line 2", "an address (http)", "download"],
        ),
        ("1,\n2,", &["line 2", "not a path", "none of the 2 rows"]),
    ] {
        let said = posters(&format!("movieId,poster_path\n{rows}\n")).unwrap_err();
        for part in parts {
            assert!(said.contains(part), "no '{part}' in: {said}");
        }
    }
    let said = plots("movieId,summary\n77,A robot.\n").unwrap_err();
    assert!(said.contains("'77' is not a movie"), "{said}");
}

#[test]
fn plots_of_other_movies_are_left_out_and_blank_ones_stay() {
    let read = plots("movieId,summary\n1,\n77,A witch.\n2,A robot.\n2,Another.\n").unwrap();
    let texts: Vec<&str> = read.rows.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["", "A robot."]);
    assert_eq!(read.left_out.rows(), 2);
}

#[test]
fn columns_are_found_by_names_that_mean_the_same() {
    for header in [
        "movieId,poster_path",
        "movie_id,poster",
        "MovieID,Poster_Path",
        "id,path",
        "item_id,image_path",
        "Movie Id,File Name",
        "movieId,image",
    ] {
        let read = posters(&format!("{header}\n1,1.jpg\n")).unwrap();
        assert_eq!(ids(&read), [1], "{header}");
    }
    for header in [
        "movieId,summary",
        "movie_id,overview",
        "id,plot",
        "movieId,Description",
    ] {
        let read = plots(&format!("{header}\n1,A robot.\n")).unwrap();
        assert_eq!(read.rows[0].text, "A robot.", "{header}");
    }
    // Others are passed over, and the name that is meant goes before those that mean the same.
    let read = plots("title,overview,summary,movieId\nHeat,no,yes,1\n").unwrap();
    assert_eq!(read.rows[0].text, "yes");
}

#[test]
fn a_column_that_is_not_found_or_in_doubt_is_asked_for() {
    for (header, parts) in [
        (
            "movieId,postr_path",
            &["'poster_path'", "did you mean 'postr_path'?", "poster"][..],
        ),
        (
            "movieIds,poster_path",
            &["'movieId'", "did you mean 'movieIds'?"],
        ),
        (
            "movieId,image,file",
            &["may be 'file' or 'image'", "call the one that is meant"],
        ),
        (
            "id,imdb_id,poster_path",
            &["'id' beside 'imdb_id'", "links.csv"],
        ),
        ("tmdbId,poster_path", &["column 'movieId'"]),
    ] {
        let row = vec!["1"; header.split(',').count()].join(",");
        let said = posters(&format!("{header}\n{row}\n")).unwrap_err();
        for part in parts {
            assert!(said.contains(part), "no '{part}' in: {said}");
        }
    }
}

#[test]
fn paths_are_of_the_folder_of_the_file_or_absolute() {
    let folder = good();
    let at = |name: &str| folder.file(name);
    let absolute = at("else/3.jpg");
    let url = format!("file://{}", at("a b.jpg").display()).replace(' ', "%20");
    folder.write(
        "posters.csv",
        format!(
            "movieId,poster_path\n1,1.jpg\n2,{}\n5,{url}\n",
            absolute.display()
        ),
    );
    let read = Poster::read_all(&at("posters.csv"), None).unwrap();
    let paths: Vec<PathBuf> = read.rows.into_iter().map(|it| it.path).collect();
    assert_eq!(paths, [at("1.jpg"), absolute, at("a b.jpg")]);
}

#[test]
fn a_plot_that_stands_behind_a_blank_one_is_used() {
    let read = plots("movieId,summary\n1,\n1,A boy grows.\n1,Another.\n2,\n").unwrap();
    let texts: Vec<&str> = read.rows.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["A boy grows.", ""]);
    assert_eq!(read.left_out.because(LeftOutBecause::Duplicate), 2);
}

#[test]
fn what_stands_between_columns_is_found_out() {
    for separator in [";", "\t", "|"] {
        let text = format!("movieId{separator}poster_path\n1{separator}1.jpg\n");
        assert_eq!(ids(&posters(&text).unwrap()), [1], "{separator}");
    }
}

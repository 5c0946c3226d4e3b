//! What `check_status` shows.

use crate::health::{Page, Row};
use crate::plan::StatusFormat;

fn page() -> Page<'static> {
    let row = Row {
        index: 0,
        upstream: "u",
        name: "127.0.0.1:80",
        down: false,
        rise: 7,
        fall: 0,
        kind: "http",
        port: 0,
    };
    Page {
        generation: 3,
        rows: vec![row, Row { index: 4, name: "unix:/s", down: true, rise: 0, fall: 9, port: 81, ..row }],
    }
}

#[test]
fn lines_of_csv_and_json() {
    assert_eq!(
        page().write(StatusFormat::Csv),
        "0,u,127.0.0.1:80,up,7,0,http,0\n4,u,unix:/s,down,0,9,http,81\n"
    );
    let json = page().write(StatusFormat::Json);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let servers = &value["servers"];
    assert_eq!((&servers["total"], &servers["up"], &servers["down"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!((&servers["generation"], &servers["server"][1]["fall"]), (&3.into(), &9.into()));
    assert!(json.contains(
        "    {\"index\": 0, \"upstream\": \"u\", \"name\": \"127.0.0.1:80\", \"status\": \"up\", \"rise\": 7, \
         \"fall\": 0, \"type\": \"http\", \"port\": 0},\n    {\"index\": 4"
    ));
}

#[test]
fn nobody_is_a_page_as_well() {
    let nobody = Page { generation: 1, rows: Vec::new() };
    assert_eq!(nobody.write(StatusFormat::Csv), "");
    let json = nobody.write(StatusFormat::Json);
    assert!(json.ends_with("\"server\": [\n  ]\n}}\n"), "{json}");
    assert!(nobody.write(StatusFormat::Html).contains("server number: 0, generation: 1</h2>"));
}

#[test]
fn html_marks_those_that_are_down_and_says_names_as_text() {
    let mut page = page();
    page.rows[0].upstream = "a<b>&\"";
    let html = page.write(StatusFormat::Html);
    assert_eq!(html.matches("  <tr bgcolor=\"#FF0000\">\n").count(), 1);
    assert!(html.contains("    <td>a&lt;b&gt;&amp;&quot;</td>\n"), "{html}");
    let json: serde_json::Value = serde_json::from_str(&page.write(StatusFormat::Json)).unwrap();
    assert_eq!(json["servers"]["server"][0]["upstream"], "a<b>&\"");
}

#[test]
fn prometheus_has_a_line_a_peer_and_count() {
    let text = page().write(StatusFormat::Prometheus);
    for line in [
        "nginx_upstream_count_total 2",
        "nginx_upstream_count_down 1",
        "nginx_upstream_count_generation 3",
        "nginx_upstream_server_fall{index=\"4\",upstream=\"u\",name=\"unix:/s\",status=\"down\",type=\"http\",port=\"81\"} 9",
        "nginx_upstream_server_active{index=\"0\",upstream=\"u\",name=\"127.0.0.1:80\",type=\"http\",port=\"0\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

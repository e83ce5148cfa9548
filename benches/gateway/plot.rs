//! Plots as one SVG: what was measured as dots, and the straight line that fits them best.

use serde_json::{Value, json};
use std::fmt::Write;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 20.0;
const BOTTOM: f64 = 50.0;

/// One plot.
pub struct Plot {
    pub title: String,
    pub across: String,
    pub up: String,
    pub points: Vec<(f64, f64)>,
}

impl Plot {
    pub fn to_json(&self) -> Value {
        let (slope, start) = self.line();
        json!({
            "title": self.title, "x": self.across, "y": self.up, "points": self.points,
            "line": { "slope": slope, "start": start, "r2": self.straightness() },
        })
    }

    /// Slope and start of the line with the least squares.
    pub fn line(&self) -> (f64, f64) {
        let many = self.points.len() as f64;
        let (x, y) = self.points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / many, y + point.1 / many));
        let (mut both, mut square) = (0.0, 0.0);
        for point in &self.points {
            both += (point.0 - x) * (point.1 - y);
            square += (point.0 - x) * (point.0 - x);
        }
        let slope = if square > 0.0 { both / square } else { 0.0 };
        (slope, y - slope * x)
    }

    /// Which part of what differs the line explains: 1 is straight.
    pub fn straightness(&self) -> f64 {
        let (slope, start) = self.line();
        let mean = self.points.iter().map(|point| point.1).sum::<f64>() / self.points.len() as f64;
        let (mut off, mut all) = (0.0, 0.0);
        for (x, y) in &self.points {
            off += (y - (start + slope * x)).powi(2);
            all += (y - mean).powi(2);
        }
        if all > 0.0 { 1.0 - off / all } else { 1.0 }
    }

    fn draw(&self, svg: &mut String, left: f64) -> std::fmt::Result {
        let most = |of: fn(&(f64, f64)) -> f64| self.points.iter().map(of).fold(1e-9, f64::max);
        let (widest, highest) = (most(|point| point.0), most(|point| point.1) * 1.1);
        let x = |value: f64| left + LEFT + value / widest * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / highest * (HEIGHT - TOP - BOTTOM);
        let middle = left + LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
        writeln!(svg, r#"<text x="{middle}" y="20" text-anchor="middle" font-weight="bold">{}</text>"#, self.title)?;
        writeln!(svg, r#"<text x="{middle}" y="{}" text-anchor="middle">{}</text>"#, HEIGHT - 12.0, self.across)?;
        writeln!(svg, r#"<text x="{}" y="{}">{}</text>"#, left + 8.0, TOP - 6.0, self.up)?;
        for part in 0..=4 {
            let (across, up) = (widest * f64::from(part) / 4.0, highest * f64::from(part) / 4.0);
            let (from, to, place) = (x(0.0), x(widest), y(up));
            writeln!(svg, r##"<line x1="{from}" x2="{to}" y1="{place}" y2="{place}" stroke="#ccd" />"##)?;
            let (label, below) = (short(up), place + 4.0);
            writeln!(svg, r#"<text x="{}" y="{below}" text-anchor="end">{label}</text>"#, from - 6.0)?;
            let (label, below) = (short(across), HEIGHT - BOTTOM + 16.0);
            writeln!(svg, r#"<text x="{}" y="{below}" text-anchor="middle">{label}</text>"#, x(across))?;
        }
        let (slope, start) = self.line();
        let (begin, end) = (y(start.max(0.0)), y((start + slope * widest).max(0.0)));
        let (from, to) = (x(0.0), x(widest));
        writeln!(svg, r##"<line x1="{from}" y1="{begin}" x2="{to}" y2="{end}" stroke="#c60" stroke-width="1.5" />"##)?;
        for point in &self.points {
            writeln!(svg, r##"<circle cx="{}" cy="{}" r="4" fill="#036" />"##, x(point.0), y(point.1))?;
        }
        Ok(())
    }
}

/// All of them, side by side.
pub fn draw(plots: &[Plot]) -> String {
    let width = WIDTH * plots.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\" />\n"
    );
    for (place, plot) in plots.iter().enumerate() {
        plot.draw(&mut svg, WIDTH * place as f64).expect("a string takes whatever is written");
    }
    svg + "</svg>\n"
}

fn short(value: f64) -> String {
    if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

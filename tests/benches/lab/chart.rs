//! The growth as a picture.

use std::path::Path;
use std::time::Duration;

use plotters::prelude::*;

use crate::turns::Result;

const NAMES: [&str; 3] = ["raw netlink in C", "netlab", "ip -batch, without the datagrams"];
const COLOURS: [RGBColor; 3] = [RGBColor(100, 116, 139), RGBColor(37, 99, 235), RGBColor(217, 119, 6)];

/// Writes `docs/benchmarks/growth.svg`.
pub(crate) fn draw(growth: &[(usize, [Duration; 3])]) -> Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks/growth.svg");
    let seconds = |number: usize| growth.iter().map(move |(hosts, all)| (*hosts, all[number].as_secs_f64()));
    let most = (0..NAMES.len()).flat_map(seconds).map(|(_, seconds)| seconds).fold(0.0, f64::max);
    let hosts = growth.last().map_or(0, |(hosts, _)| *hosts);

    let ground = SVGBackend::new(&file, (760, 420)).into_drawing_area();
    ground.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&ground)
        .caption("Hosts on bridges of 50: built, used, gone", ("sans-serif", 17))
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(0..hosts, 0.0..most * 1.05)?;
    chart.configure_mesh().light_line_style(WHITE).x_desc("hosts").y_desc("seconds").draw()?;
    for (number, (name, colour)) in NAMES.into_iter().zip(COLOURS).enumerate() {
        chart
            .draw_series(LineSeries::new(seconds(number), colour.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).background_style(WHITE).border_style(BLACK.mix(0.2)).draw()?;
    ground.present()?;
    Ok(())
}

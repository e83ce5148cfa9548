//! The last act: what was written down of all that.

use super::{Line, Stage, WrongEnd, address};
use crate::domain::Email;
use crate::journal::{Evidence, Kind};

/// Somebody asks when their opt-outs were honoured; and all that was written down is as it was written.
pub async fn tells(stage: &mut Stage<'_>) -> Result<(), WrongEnd> {
    stage.act("dan asks: when did you honour my opt-outs? The journal has a receipt of each change.");
    let Some(journal) = stage.sandbox.journals.first().cloned() else {
        return Err(WrongEnd::Wrong("the gateway keeps no journal".to_owned()));
    };
    let dan = Email::parse(&address("dan")).map_err(|error| WrongEnd::Wrong(error.to_string()))?;
    let receipts = journal.receipts_at(&dan).await?;
    let changes: Vec<_> = receipts.iter().filter(|receipt| is_of_consent(receipt)).collect();
    for receipt in &changes {
        stage.note(&line(receipt));
    }
    let outs = changes.iter().filter(|receipt| matches!(receipt.kind, Kind::Change(change) if change.ends_mail()));
    let (outs, left) = (outs.count(), 1 + stage.esps().len());
    stage.holds(outs >= left, &format!("each of his {left} opt-outs has its receipt"))?;
    let verified = journal.verify(&[]).await?;
    stage.holds(
        verified.broken.is_empty(),
        &format!("none of the {} receipts was changed since it was written", verified.receipts),
    )?;
    stage.say(Line::Note(format!("(Their chain ends with {}.)", verified.end())));
    Ok(())
}

fn is_of_consent(receipt: &Evidence) -> bool {
    matches!(receipt.kind, Kind::Change(change) if change != crate::domain::Change::Profile)
}

/// `opt_out, acted 12:00:01, accepted 12:00:02: main/newsletter -> news/LIST`
fn line(receipt: &Evidence) -> String {
    let clock = |at: Option<jiff::Timestamp>| {
        at.map_or_else(|| "some time".to_owned(), |at| at.strftime("%H:%M:%S").to_string())
    };
    let (acted, accepted) = (clock(receipt.acted.1), clock(receipt.accepted));
    let found = if receipt.was_found { " (found in effect)" } else { "" };
    let way = if receipt.direction == "esp_to_gigya" { "back along" } else { "along" };
    format!("{}{found}, acted {acted}, accepted {accepted}, {way} {}", receipt.kind.label(), receipt.route)
}

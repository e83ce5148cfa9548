//! How a callback is made, and how one that is there is mended.
//!
//! A callback is made in steps that leave nothing behind if one of them fails: a file for its key, the callback, which calls the
//! gateway while it is made, the key written, the verification that the gateway sends on. A callback that isn't verified then
//! is dead, and blocks its URL: it is deleted.

use super::calls::Callback;
use super::key_file::KeyFile;
use super::{CALLBACK, MarketingCloudSetUp, Todo, explained};
use crate::esp::setup::{Tell, Trouble};
use crate::upstream::Fault;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// How long the gateway has to send the verification on: its own attempts take about 100 seconds.
const VERIFICATION: Duration = Duration::from_mins(2);
/// The URL is registered already: told by HTTP status alone, or by code.
const REGISTERED: Fault = Fault::Configuration { code: 304 };
const REGISTERED_ALREADY: Fault = Fault::Failing { code: 30004 };
/// How often it is looked whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl MarketingCloudSetUp {
    pub(super) async fn mend_one(&self, todo: Todo, tell: &Tell<'_>) -> Result<String, Trouble> {
        match todo {
            Todo::CreateCallback => self.create(tell).await,
            Todo::ReplaceCallback(dead) => {
                // It may have been verified since it was looked at.
                let held = self.client.callbacks().await.map_err(explained)?;
                if held.iter().any(|callback| callback.id == dead.id && callback.is_verified()) {
                    return Ok("left as it is: it was verified meanwhile".to_owned());
                }
                self.client.delete_callback(&dead.id).await.map_err(explained)?;
                self.create(tell).await
            }
            Todo::NewKey(callback) => {
                let (mut file, path) = self.new_file()?;
                let made = self.client.regenerate(&callback).await.map_err(|fault| {
                    let Trouble { what, fix } = explained(fault);
                    Trouble::new(
                        format!("no new signature key came ({what}); one may have been made all the same"),
                        format!(
                            "{fix}; if callbacks are answered 401 from now on, the former key has ended: run this again"
                        ),
                    )
                })?;
                file.write(&made.signature_key).map_err(|error| {
                    Trouble::new(
                        format!("the new signature key could not be written to {}: {error}", path.display()),
                        "make room for it and run this again, which makes another one",
                    )
                })?;
                Ok(format!("new signature key in {}: name it in signature_keys", path.display()))
            }
            Todo::ShrinkBatch(callback) => {
                self.client.shrink_batch(&callback).await.map_err(explained)?;
                Ok("set to 100 events at once, which takes effect within two minutes".to_owned())
            }
            Todo::Subscribe => {
                let callback = self.ours().await.map_err(explained)?.filter(Callback::is_verified);
                let Some(callback) = callback else {
                    let fix = "see why its callback is not, and run this again";
                    return Err(Trouble::new("not created, as there is no verified callback", fix));
                };
                self.client.create_subscription(&callback.id, &self.name).await.map_err(explained)?;
                Ok("created".to_owned())
            }
            Todo::Activate(held) => {
                self.client.activate_subscription(&held).await.map_err(explained)?;
                Ok("activated; what happened while it was not is lost, so compare both sides".to_owned())
            }
        }
    }

    async fn create(&self, tell: &Tell<'_>) -> Result<String, Trouble> {
        let url = self.url.clone().unwrap_or_default();
        let (mut file, path) = self.new_file()?;
        let made = match self.client.create_callback(&self.name, &url).await {
            Ok(made) => made,
            Err(fault) => return Err(self.not_created(fault).await),
        };
        if let Err(error) = file.write(&made.signature_key) {
            // Its key is lost, so it can't be used.
            let what = format!("its signature key could not be written to {}: {error}", path.display());
            let left = self.remove(&made.id).await;
            return Err(Trouble::new(what, format!("make room for it and run this again{left}")));
        }
        tell(&format!("{CALLBACK}: created, its key is in {}; waiting for the gateway to verify it", path.display()));
        match self.is_verified(&made.id).await {
            Ok(true) => {}
            Ok(false) => {
                let fix = "see the gateway's log for why it could not verify it, and run this again";
                if let Err(fault) = self.client.delete_callback(&made.id).await {
                    let what = format!("not verified in time, and not deleted either: {}", explained(fault).what);
                    return Err(Trouble::new(what, fix));
                }
                file.discard();
                return Err(Trouble::new("not verified in time, so it was deleted again, and its key, too", fix));
            }
            Err(fault) => {
                let what = format!("created, but it is not known whether it is verified: {}", explained(fault).what);
                return Err(Trouble::new(what, format!("run this again; its key is in {}", path.display())));
            }
        }
        Ok(format!(
            "created and verified; its signature key is in {}: name that file in signature_keys, and take registering out",
            path.display()
        ))
    }

    fn new_file(&self) -> Result<(KeyFile, PathBuf), Trouble> {
        let path = self.key_file.clone().unwrap_or_default();
        match KeyFile::create(&path) {
            Ok(file) => Ok((file, path)),
            Err(error) => {
                let what = format!("the file for its signature key, {}, can't be made: {error}", path.display());
                let fix = match error.kind() {
                    ErrorKind::AlreadyExists => "it is never overwritten: name another with --signature-key-file",
                    _ => "name one that can be written with --signature-key-file",
                };
                Err(Trouble::new(what, fix))
            }
        }
    }

    /// A callback whose URL wasn't answered stays, dead. One that is verified stays, too: it may be another run's, or work
    /// already; if it is this one's, whose answer was lost, its key is lost, and the next look says so.
    async fn not_created(&self, fault: Fault) -> Trouble {
        let left = match self.ours().await {
            Ok(Some(made)) if !made.is_verified() && fault != REGISTERED && fault != REGISTERED_ALREADY => {
                self.remove(&made.id).await
            }
            _ => "",
        };
        match fault {
            Fault::Refused { .. } => Trouble::new(
                format!("Marketing Cloud didn't create it ({fault}): most likely the gateway didn't answer it"),
                format!(
                    "see that the gateway runs with registering = true and that server.public_url leads to it from outside, \
                     and run this again{left}"
                ),
            ),
            REGISTERED | REGISTERED_ALREADY => {
                Trouble::new("its URL is registered already", "it may be another business unit's; see its callbacks")
            }
            fault => explained(fault),
        }
    }

    /// Deletes a dead callback; what to add if it couldn't be.
    async fn remove(&self, id: &str) -> &'static str {
        match self.client.delete_callback(id).await {
            Ok(()) => "",
            Err(_) => ", after the dead callback was deleted, which blocks its URL",
        }
    }

    async fn is_verified(&self, id: &str) -> Result<bool, Fault> {
        let end = Instant::now() + VERIFICATION;
        loop {
            let held = self.client.callbacks().await?;
            if held.iter().any(|callback| callback.id == id && callback.is_verified()) {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The callback that has our URL.
    async fn ours(&self) -> Result<Option<Callback>, Fault> {
        let held = self.client.callbacks().await?;
        Ok(held.into_iter().find(|callback| Some(&callback.url) == self.url.as_ref()))
    }
}

//! What the targets share: a gateway's connections, answers made of the input, and what must never be said.
//!
//! An input is text as far as it can be, so that a seed can be read and a find be understood: parts with a line `----`
//! between them. A part that stands for an answer of an outside system is a status, headers, an empty line and a body.

#![forbid(unsafe_code)]

mod answers;
mod house;
mod secrecy_of_texts;

pub use answers::{Answers, Request, is_success, json_of, parts, split_head};
pub use house::{
    CALLBACK_TOKEN, GIGYA_SECRET, LIST, config, deadline, ens_signature, esp, gigya, headers, person, run, signer,
};
pub use secrecy_of_texts::{Logs, says_only_where, texts_under};

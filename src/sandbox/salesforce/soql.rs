//! Queries, as far as they are needed: `SELECT a, b FROM Object WHERE condition ORDER BY Id`, with `AND`, `OR`, parentheses,
//! `=`, `!=` and `IN`; texts are compared without regard to case.

use super::world::Row;
use serde_json::Value;

/// A query that was understood.
#[derive(Debug)]
pub struct Query {
    pub fields: Vec<String>,
    pub object: String,
    condition: Condition,
}

#[derive(Debug)]
enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Is(String, bool, Vec<Literal>),
}

#[derive(Clone, Debug)]
enum Literal {
    Null,
    Flag(bool),
    Text(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
    Unequal,
}

impl Query {
    /// Reads a query; none if it isn't one of these.
    pub fn read(text: &str) -> Option<Self> {
        let tokens = tokens(text)?;
        let mut rest = Rest { tokens: &tokens };
        rest.word("SELECT")?;
        let mut fields = vec![rest.name()?];
        while rest.sign(',').is_some() {
            fields.push(rest.name()?);
        }
        rest.word("FROM")?;
        let object = rest.name()?;
        rest.word("WHERE")?;
        let condition = rest.either()?;
        rest.word("ORDER")?;
        rest.word("BY")?;
        rest.word("Id")?;
        rest.tokens.is_empty().then_some(Self { fields, object, condition })
    }

    pub fn fits(&self, row: &Row) -> bool {
        self.condition.holds(row)
    }

    /// The row as it is answered.
    pub fn shown(&self, row: &Row) -> Value {
        let mut shown = Row::new();
        shown.insert("attributes".to_owned(), serde_json::json!({ "type": self.object }));
        for field in &self.fields {
            shown.insert(field.clone(), row.get(field).cloned().unwrap_or(Value::Null));
        }
        Value::Object(shown)
    }
}

impl Condition {
    fn holds(&self, row: &Row) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.holds(row)),
            Self::Or(any) => any.iter().any(|one| one.holds(row)),
            Self::Is(field, wanted, literals) => {
                let held = row.get(field).unwrap_or(&Value::Null);
                literals.iter().any(|literal| literal.is(held)) == *wanted
            }
        }
    }
}

impl Literal {
    fn is(&self, held: &Value) -> bool {
        match self {
            Self::Null => held.is_null(),
            Self::Flag(flag) => held == flag,
            // Ids are told by their first fifteen characters, whichever of the two lengths they have.
            Self::Text(text) => held.as_str().is_some_and(|held| {
                held.eq_ignore_ascii_case(text)
                    || (text.len() == 15 && held.len() == 18 && held.starts_with(text.as_str()))
            }),
        }
    }
}

struct Rest<'a> {
    tokens: &'a [Token],
}

impl Rest<'_> {
    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let is_it = matches!(self.tokens.first(), Some(Token::Word(known)) if known == word);
        is_it.then(|| self.next()).flatten().map(drop)
    }

    fn sign(&mut self, sign: char) -> Option<()> {
        let is_it = self.tokens.first() == Some(&Token::Sign(sign));
        is_it.then(|| self.next()).flatten().map(drop)
    }

    fn name(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    fn either(&mut self) -> Option<Condition> {
        let mut any = vec![self.both()?];
        while self.word("OR").is_some() {
            any.push(self.both()?);
        }
        Some(Condition::Or(any))
    }

    fn both(&mut self) -> Option<Condition> {
        let mut all = vec![self.one()?];
        while self.word("AND").is_some() {
            all.push(self.one()?);
        }
        Some(Condition::And(all))
    }

    fn one(&mut self) -> Option<Condition> {
        if self.sign('(').is_some() {
            let inner = self.either()?;
            self.sign(')')?;
            return Some(inner);
        }
        let field = self.name()?;
        match self.next()? {
            Token::Unequal => Some(Condition::Is(field, false, vec![self.literal()?])),
            Token::Sign('=') => Some(Condition::Is(field, true, vec![self.literal()?])),
            Token::Word(word) if word == "IN" => {
                self.sign('(')?;
                let mut literals = vec![self.literal()?];
                while self.sign(',').is_some() {
                    literals.push(self.literal()?);
                }
                self.sign(')')?;
                Some(Condition::Is(field, true, literals))
            }
            _ => None,
        }
    }

    fn literal(&mut self) -> Option<Literal> {
        match self.next()? {
            Token::Text(text) => Some(Literal::Text(text)),
            Token::Word(word) => match word.as_str() {
                "null" => Some(Literal::Null),
                "true" => Some(Literal::Flag(true)),
                "false" => Some(Literal::Flag(false)),
                _ => None,
            },
            Token::Sign(_) | Token::Unequal => None,
        }
    }
}

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' => {}
            '\'' => {
                let mut said = String::new();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        '\\' => said.push(chars.next().filter(|c| matches!(c, '\\' | '\''))?),
                        c => said.push(c),
                    }
                }
                tokens.push(Token::Text(said));
            }
            '!' => {
                chars.next().filter(|c| *c == '=')?;
                tokens.push(Token::Unequal);
            }
            '(' | ')' | ',' | '=' => tokens.push(Token::Sign(c)),
            c if c.is_ascii_alphanumeric() => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    word.push(c);
                }
                tokens.push(Token::Word(word));
            }
            _ => return None,
        }
    }
    Some(tokens)
}

//! [`Tokens`]: the words, numbers, texts and signs of a target's text.

use super::error::ParseTargetError;
use super::words::{MINUS_INFINITY, is_of_word};
use crate::tags::value::TagValue;

/// A part of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A word without quotes.
    Word(String),
    /// A text in quotes.
    Text(String),
    Number(TagValue),
    /// A positive integer that only the id of a peer can be.
    Large(u64),
    /// `=`, `!=`, `>=`, `<=`, `>`, `<`, `&`, `|`, `!`, `(`, `)`, `,` or `#`.
    Sign(&'static str),
    End,
}

/// The longer signs come first.
const SIGNS: [&str; 13] = ["!=", ">=", "<=", "=", ">", "<", "&", "|", "!", "(", ")", ",", "#"];

/// Reads the tokens of a text from its beginning.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Returns the next token and its position in bytes.
    pub(super) fn next(&mut self) -> Result<(usize, Token), ParseTargetError> {
        let rest = self.rest().trim_start();
        self.at = self.text.len() - rest.len();
        let at = self.at;
        let Some(first) = rest.chars().next() else { return Ok((at, Token::End)) };
        let token = match first {
            '"' => self.quoted()?,
            'A'..='Z' | 'a'..='z' | '_' => Token::Word(self.word(is_of_word).to_owned()),
            '0'..='9' | '-' => self.number()?,
            _ => {
                let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
                let expected = "a name, a value, or one of = != >= <= > < & | ! ( ) , #";
                let sign = sign.ok_or(ParseTargetError::Expected { at, expected })?;
                self.at += sign.len();
                Token::Sign(sign)
            }
        };
        Ok((at, token))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Takes the characters of a word.
    fn word(&mut self, belongs: fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// Reads a text in quotes, with the escapes of JSON.
    fn quoted(&mut self) -> Result<Token, ParseTargetError> {
        let (at, rest) = (self.at, self.rest());
        let mut escaped = false;
        let is_end = |(_, c): &(usize, char)| {
            let ends = *c == '"' && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        };
        let end = rest.char_indices().skip(1).find(is_end);
        let (end, _) = end.ok_or(ParseTargetError::Unclosed { at })?;
        let text = serde_json::from_str(&rest[..=end]);
        self.at += end + 1;
        text.map(Token::Text).map_err(|_| ParseTargetError::Escape { at })
    }

    /// Reads a number: an integer without a point and an exponent, and otherwise a float.
    fn number(&mut self) -> Result<Token, ParseTargetError> {
        let at = self.at;
        let word = self.word(is_of_number);
        let error = ParseTargetError::Number { at };
        if word == MINUS_INFINITY {
            return Ok(Token::Number(TagValue::Float(f64::NEG_INFINITY)));
        }
        let digits = word.strip_prefix('-').unwrap_or(word);
        // Rust reads words such as `infinity` as floats too.
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(error);
        }
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let large = || word.parse().map(Token::Large);
            let number = word.parse().map(|number| Token::Number(TagValue::Int(number)));
            return number.or_else(|_| large()).map_err(|_| error);
        }
        match word.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Token::Number(TagValue::Float(number))),
            _ => Err(error),
        }
    }
}

/// Returns whether the character is a part of the word that begins like a number.
const fn is_of_number(c: char) -> bool {
    is_of_word(c) || c == '+'
}

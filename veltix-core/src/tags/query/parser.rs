//! [`Parser`]: builds a target from the tokens of its text.

use std::sync::Arc;

use super::error::ParseTargetError;
use super::token::{Token, Tokens};
use super::words::{RESERVED, reserved_value};
use crate::limits::TARGET_DEPTH;
use crate::tags::expression::Expression;
use crate::tags::number::{Comparison, TagNumber};
use crate::tags::peer_id::PeerId;
use crate::tags::value::TagValue;

/// The comparisons with a number.
const COMPARISONS: [(&str, Comparison); 4] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
];

/// Builds a target from the tokens of its text. The next token is always known.
pub(super) struct Parser<'a> {
    tokens: Tokens<'a>,
    at: usize,
    next: Token,
    /// The number of `(` and `!` around the next token.
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Result<Self, ParseTargetError> {
        let mut tokens = Tokens::new(text);
        let (at, next) = tokens.next()?;
        Ok(Self { tokens, at, next, depth: 0 })
    }

    /// Reads the whole text.
    pub(super) fn parse(mut self) -> Result<Expression, ParseTargetError> {
        let expression = self.any()?;
        match self.next {
            Token::End => Ok(expression),
            _ => self.expected("`&`, `|` or the end"),
        }
    }

    /// `all_of ("|" all_of)*`
    fn any(&mut self) -> Result<Expression, ParseTargetError> {
        let mut any = self.all_of()?;
        while self.takes("|")? {
            any = any.or(self.all_of()?);
        }
        Ok(any)
    }

    /// `term ("&" term)*`
    fn all_of(&mut self) -> Result<Expression, ParseTargetError> {
        let mut all = self.term()?;
        while self.takes("&")? {
            all = all.and(self.term()?);
        }
        Ok(all)
    }

    /// `"!" term | "(" any ")" | test`
    fn term(&mut self) -> Result<Expression, ParseTargetError> {
        let at = self.at;
        if self.takes("!")? {
            self.enter(at)?;
            let term = self.term()?.not();
            self.depth -= 1;
            Ok(term)
        } else if self.takes("(")? {
            self.enter(at)?;
            let inner = self.any()?;
            self.must_take(")", "`&`, `|` or `)`")?;
            self.depth -= 1;
            Ok(inner)
        } else if self.takes("#")? {
            self.peers()
        } else {
            self.test()
        }
    }

    fn enter(&mut self, at: usize) -> Result<(), ParseTargetError> {
        self.depth += 1;
        if self.depth > TARGET_DEPTH {
            return Err(ParseTargetError::TooDeep { at, limit: TARGET_DEPTH });
        }
        Ok(())
    }

    /// The id of a peer, or ids in parentheses.
    fn peers(&mut self) -> Result<Expression, ParseTargetError> {
        if let Token::Sign("(") = self.next {
            return Ok(Expression::peers(self.list(Self::peer)?));
        }
        Ok(Expression::peers([self.peer()?]))
    }

    fn peer(&mut self) -> Result<PeerId, ParseTargetError> {
        let id = match &self.next {
            Token::Number(TagValue::Int(number)) => u64::try_from(*number).ok(),
            Token::Large(number) => Some(*number),
            _ => None,
        };
        let Some(id) = id else { return self.expected("the id of a peer, as in `#71`") };
        self.advance()?;
        Ok(PeerId::new(id))
    }

    /// `"all" | "nobody" | name | name sign value | name "in" "(" value ("," value)* ")"`
    fn test(&mut self) -> Result<Expression, ParseTargetError> {
        const NAME: &str = "a tag, `#`, `!`, `(`, `all` or `nobody`";
        let name: Arc<str> = match &self.next {
            Token::Word(word) if word == "all" => return self.found(Expression::All),
            Token::Word(word) if word == "nobody" => return self.found(Expression::Nobody),
            Token::Word(word) if RESERVED.contains(&word.as_str()) => {
                return self.expected(
                    "the name of a tag: this word has a meaning, and needs quotes as a name",
                );
            }
            Token::Word(name) | Token::Text(name) => name.as_str().into(),
            _ => return self.expected(NAME),
        };
        self.advance()?;
        if self.takes("=")? {
            return Ok(Expression::Is(name, self.value()?.into()));
        }
        if self.takes("!=")? {
            return Ok(Expression::Is(name, self.value()?.into()).not());
        }
        if matches!(&self.next, Token::Word(word) if word == "in") {
            self.advance()?;
            return Ok(Expression::any_of(name, self.list(Self::value)?));
        }
        for (sign, comparison) in COMPARISONS {
            if self.takes(sign)? {
                return Ok(Expression::Compare(name, comparison, self.number()?));
            }
        }
        Ok(Expression::Has(name))
    }

    /// Items in parentheses, with commas between them.
    fn list<T>(
        &mut self,
        item: fn(&mut Self) -> Result<T, ParseTargetError>,
    ) -> Result<Vec<T>, ParseTargetError> {
        self.must_take("(", "`(`")?;
        let mut items = Vec::new();
        if self.takes(")")? {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if !self.takes(",")? {
                break;
            }
        }
        self.must_take(")", "`,` or `)`")?;
        Ok(items)
    }

    fn value(&mut self) -> Result<TagValue, ParseTargetError> {
        const VALUE: &str = "a value: a number, `true`, `false`, a word or a text in quotes";
        if self.takes("(")? {
            self.must_take(")", "`)`: the value `()` is that of a bare tag")?;
            return Ok(TagValue::Unit);
        }
        let value = match &self.next {
            Token::Number(number) => number.clone(),
            Token::Text(text) => text.as_str().into(),
            Token::Large(_) => return Err(ParseTargetError::Number { at: self.at }),
            Token::Word(word) => reserved_value(word).unwrap_or_else(|| word.as_str().into()),
            _ => return self.expected(VALUE),
        };
        self.advance()?;
        Ok(value)
    }

    fn number(&mut self) -> Result<TagNumber, ParseTargetError> {
        let at = self.at;
        let number = TagNumber::of_value(self.value()?);
        number.ok_or(ParseTargetError::Expected { at, expected: "a number" })
    }

    /// Takes this word, which was one of the reserved ones.
    fn found(&mut self, expression: Expression) -> Result<Expression, ParseTargetError> {
        self.advance()?;
        Ok(expression)
    }

    /// Takes this sign if it is next.
    fn takes(&mut self, sign: &'static str) -> Result<bool, ParseTargetError> {
        let is_next = self.next == Token::Sign(sign);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    fn must_take(
        &mut self,
        sign: &'static str,
        expected: &'static str,
    ) -> Result<(), ParseTargetError> {
        if self.takes(sign)? { Ok(()) } else { self.expected(expected) }
    }

    fn advance(&mut self) -> Result<(), ParseTargetError> {
        (self.at, self.next) = self.tokens.next()?;
        Ok(())
    }

    fn expected<T>(&self, expected: &'static str) -> Result<T, ParseTargetError> {
        Err(ParseTargetError::Expected { at: self.at, expected })
    }
}

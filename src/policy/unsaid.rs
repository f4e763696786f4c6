//! What init could not say to the plugin yet. Only `core`, because init's program includes this file too.

use super::message::Report;

/// An answer that waits. The plugin may read nothing for as long as it likes: nothing is lost, and nobody waits for it.
#[derive(Default)]
pub struct Unsaid(Option<Report>);

impl Unsaid {
    /// Says it now, or once there is room: a request is answered once, and none is taken up while an answer waits. `say` tells whether there
    /// was room.
    pub fn answer(&mut self, report: Report, say: impl FnOnce(&Report) -> bool) {
        self.0 = (!say(&report)).then_some(report);
    }

    /// Says it if there is room by now. Whether nothing waits any more.
    pub fn say(&mut self, say: impl FnOnce(&Report) -> bool) -> bool {
        let waits = self.0.is_some_and(|report| !say(&report));
        if !waits {
            self.0 = None;
        }
        !waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_said_once() {
        let answer = Report { kind: 1, id: 7, value: 2, detail: 3 };
        let mut unsaid = Unsaid::default();
        assert!(unsaid.say(|_| panic!("there is none")));
        unsaid.answer(answer, |_| true);
        assert!(unsaid.say(|_| panic!("it was said")));
        unsaid.answer(answer, |_| false);
        assert!(!unsaid.say(|_| false));
        assert!(unsaid.say(|report| *report == answer));
        assert!(unsaid.say(|_| panic!("it was said by now")));
    }
}

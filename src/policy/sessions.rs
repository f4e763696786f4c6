//! The commands that init runs beside the task's own. Only `core`, because init's program includes this file too.

/// How many may run at one time.
pub const MOST: usize = 128;

/// One, until its end has been said.
#[derive(Clone, Copy)]
pub struct Session {
    /// 0: none.
    pid: u32,
    /// Its wait status, or `RUNS`.
    status: i32,
}

/// No wait status is negative.
const RUNS: i32 = -1;
pub const NONE: Session = Session { pid: 0, status: RUNS };

/// On an array of its user's, for which init has no memcpy: nothing is moved.
pub struct Sessions<'a>(&'a mut [Session; MOST]);

impl<'a> Sessions<'a> {
    pub fn new(sessions: &'a mut [Session; MOST]) -> Sessions<'a> {
        Sessions(sessions)
    }

    /// Where another can be entered. `None`: there is no room.
    pub fn room(&mut self) -> Option<&mut u32> {
        self.0.iter_mut().find(|session| session.pid == 0).map(|session| &mut session.pid)
    }

    /// The pids of those that have not ended.
    pub fn running(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter(|session| session.pid != 0 && session.status == RUNS).map(|session| session.pid)
    }

    /// One has ended, if `pid` is one.
    pub fn ended(&mut self, pid: u32, status: i32) {
        if let Some(session) = self.0.iter_mut().find(|session| session.pid == pid && session.status == RUNS) {
            session.status = status;
        }
    }

    /// Asks for the wait status of each that has not ended: `None` if it still has not.
    pub fn look(&mut self, mut ask: impl FnMut(u32) -> Option<i32>) {
        for session in self.0.iter_mut().filter(|session| session.pid != 0 && session.status == RUNS) {
            session.status = ask(session.pid).unwrap_or(RUNS);
        }
    }

    /// Says pid and wait status of those that have ended, and forgets them. False as soon as there is no room to say it.
    pub fn say(&mut self, mut say: impl FnMut(u32, i32) -> bool) -> bool {
        for session in self.0.iter_mut().filter(|session| session.status != RUNS) {
            if !say(session.pid, session.status) {
                return false;
            }
            *session = NONE;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_said_once() {
        let mut array = [NONE; MOST];
        let mut sessions = Sessions::new(&mut array);
        for pid in [5, 6, 7] {
            *sessions.room().unwrap() = pid;
        }
        sessions.ended(6, 256);
        sessions.ended(6, 9);
        sessions.ended(99, 0);
        sessions.look(|pid| (pid == 7).then_some(0));
        assert_eq!(sessions.running().collect::<Vec<_>>(), [5]);
        assert!(!sessions.say(|_, _| false));
        let mut said = Vec::new();
        assert!(sessions.say(|pid, status| {
            said.push((pid, status));
            true
        }));
        assert!(sessions.say(|_, _| panic!("nothing is left to say")));
        assert_eq!(said, [(6, 256), (7, 0)]);
    }

    #[test]
    fn room_for_so_many() {
        let mut array = [NONE; MOST];
        let mut sessions = Sessions::new(&mut array);
        (1..=MOST as u32).for_each(|pid| *sessions.room().unwrap() = pid);
        assert!(sessions.room().is_none());
        sessions.ended(3, 0);
        assert!(sessions.room().is_none(), "its end has not been said");
        sessions.say(|_, _| true);
        assert_eq!(sessions.room(), Some(&mut 0));
    }
}

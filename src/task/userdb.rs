//! Users and groups of systemd's user database, for names that the host's files don't have. It is asked over varlink: JSON, each message
//! ended by a NUL. Answers become lines of passwd(5) and group(5).

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where it answers for all its sources (systemd's docs, USER_GROUP_API).
pub const SOCKET: &str = "/run/systemd/userdb/io.systemd.Multiplexer";
/// How long a start waits for it, whatever it asks.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of all answers to one question, in bytes.
const LONGEST: usize = 1 << 20;

/// The database for one start.
pub struct Database<'a> {
    socket: &'a Path,
    deadline: Instant,
}

impl Database<'_> {
    /// The start waits from now on.
    pub fn new(socket: &Path) -> Database<'_> {
        Database { socket, deadline: Instant::now() + PATIENCE }
    }

    /// The user's line of passwd, and a line of group for each group that it is a member of. `None`: there is no such user, or no such
    /// database.
    pub fn user(&self, name: &str) -> Result<Option<(String, String)>, String> {
        let Some(record) = self.record("GetUserRecord", "userName", name)? else { return Ok(None) };
        let number = |field: &str| record.get(field).and_then(Value::as_u64);
        let uid = number("uid").ok_or_else(|| format!("the record of user {name:?} has no uid"))?;
        let home = record.get("homeDirectory").and_then(Value::as_str).unwrap_or_default();
        let passwd = line(&[name, "x", &uid.to_string(), &number("gid").unwrap_or(uid).to_string(), "", home])?;
        let mut groups = String::new();
        for membership in self.ask("GetMemberships", "userName", name)? {
            if let Some(group) = membership.get("groupName").and_then(Value::as_str)
                && let Some(gid) = self.gid(group)?
            {
                groups.push_str(&line(&[group, "x", &gid.to_string(), name])?);
            }
        }
        Ok(Some((passwd, groups)))
    }

    /// The group's line of group, without members.
    pub fn group(&self, name: &str) -> Result<Option<String>, String> {
        self.gid(name)?.map(|gid| line(&[name, "x", &gid.to_string(), ""])).transpose()
    }

    fn gid(&self, name: &str) -> Result<Option<u64>, String> {
        let record = self.record("GetGroupRecord", "groupName", name)?;
        Ok(record.and_then(|record| record.get("gid").and_then(Value::as_u64)))
    }

    fn record(&self, method: &str, key: &str, name: &str) -> Result<Option<Value>, String> {
        Ok(self.ask(method, key, name)?.into_iter().next().and_then(|mut answer| answer.get_mut("record").map(Value::take)))
    }

    /// The parameters of each answer; none where nothing is found or nobody listens.
    fn ask(&self, method: &str, key: &str, name: &str) -> Result<Vec<Value>, String> {
        let failed = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => late(),
            _ => e.to_string(),
        };
        let mut stream = match self.connect() {
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Ok(Vec::new()),
            other => other.map_err(|errno| failed(errno.into()))?,
        };
        let parameters = json!({ key: name, "service": "io.systemd.Multiplexer" });
        let question =
            json!({ "method": format!("io.systemd.UserDatabase.{method}"), "parameters": parameters, "more": method == "GetMemberships" });
        stream.write_all(format!("{question}\0").as_bytes()).map_err(failed)?;
        let (mut bytes, mut answers, mut total) = (Vec::new(), Vec::new(), 0);
        loop {
            while let Some(end) = bytes.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = bytes.drain(..=end).collect();
                let mut message: Value = serde_json::from_slice(&message[..end]).map_err(|e| format!("an answer that is no JSON: {e}"))?;
                match message.get("error").and_then(Value::as_str) {
                    Some(error) if error.ends_with(".NoRecordFound") => return Ok(answers),
                    Some(error) => return Err(error.to_string()),
                    None => answers.push(message.get_mut("parameters").map(Value::take).unwrap_or_default()),
                }
                if message.get("continues") != Some(&Value::Bool(true)) {
                    return Ok(answers);
                }
            }
            stream.set_read_timeout(Some(self.left().ok_or_else(late)?)).map_err(failed)?;
            let mut part = [0; 4096];
            match stream.read(&mut part).map_err(failed)? {
                0 => return Err("it hung up".into()),
                _ if total > LONGEST => return Err("its answer does not end".into()),
                length => {
                    bytes.extend_from_slice(&part[..length]);
                    total += length;
                }
            }
        }
    }

    /// Where others wait already, connecting waits too; the timeout holds for that as well.
    fn connect(&self) -> rustix::io::Result<UnixStream> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Send, Some(self.left().ok_or(Errno::AGAIN)?))?;
        connect(&socket, &SocketAddrUnix::new(self.socket)?)?;
        Ok(socket.into())
    }

    fn left(&self) -> Option<Duration> {
        self.deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

fn late() -> String {
    format!("no answer in {} s", PATIENCE.as_secs())
}

/// A field that would end the line, or itself, is none.
fn line(fields: &[&str]) -> Result<String, String> {
    match fields.iter().find(|field| field.contains([':', '\n', '\0', ','])) {
        Some(field) => Err(format!("{field:?} can't be a field of passwd or group")),
        None => Ok(fields.join(":") + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    /// A database that answers each connection with what `answer` makes of its question, on a socket removed when dropped.
    struct Fake(PathBuf);

    impl Fake {
        fn new(name: &str, answer: fn(&Value) -> Option<String>) -> Fake {
            let path = std::env::temp_dir().join(format!("exec2-userdb-{name}-{}", std::process::id()));
            let listener = UnixListener::bind(&path).unwrap();
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let mut question = Vec::new();
                    let mut byte = [0];
                    while stream.read(&mut byte).unwrap() == 1 && byte[0] != 0 {
                        question.push(byte[0]);
                    }
                    match answer(&serde_json::from_slice(&question).unwrap()) {
                        Some(text) => stream.write_all(text.as_bytes()).unwrap_or_default(),
                        None => std::mem::forget(stream),
                    }
                }
            });
            Fake(path)
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn user(socket: &Path, name: &str) -> Result<Option<(String, String)>, String> {
        Database::new(socket).user(name)
    }

    fn group(socket: &Path, name: &str) -> Result<Option<String>, String> {
        Database::new(socket).group(name)
    }

    const NOT_FOUND: &str = "{\"error\":\"io.systemd.UserDatabase.NoRecordFound\",\"parameters\":{}}\0";

    fn bob(question: &Value) -> Option<String> {
        let parameters = &question["parameters"];
        assert_eq!(parameters["service"], "io.systemd.Multiplexer");
        assert_eq!(question["more"], question["method"] == "io.systemd.UserDatabase.GetMemberships");
        let answer = match (
            question["method"].as_str()?.rsplit('.').next()?,
            parameters["userName"].as_str(),
            parameters["groupName"].as_str(),
        ) {
            ("GetUserRecord", Some("bob"), _) => {
                "{\"parameters\":{\"record\":{\"userName\":\"bob\",\"uid\":60001,\"gid\":60002,\"homeDirectory\":\"/home/bob\"},\"incomplete\":false}}\0"
            }
            ("GetUserRecord", Some("bare"), _) => "{\"parameters\":{\"record\":{\"userName\":\"bare\",\"uid\":60003}}}\0",
            ("GetUserRecord", Some("evil"), _) => {
                "{\"parameters\":{\"record\":{\"uid\":60003,\"homeDirectory\":\"/x\\nroot2:x:0:0::/:\"}}}\0"
            }
            ("GetMemberships", Some("bob"), _) => {
                "{\"parameters\":{\"userName\":\"bob\",\"groupName\":\"audio\"},\"continues\":true}\0{\"parameters\":{\"userName\":\"bob\",\"groupName\":\"video\"}}\0"
            }
            ("GetGroupRecord", _, Some("audio")) => "{\"parameters\":{\"record\":{\"groupName\":\"audio\",\"gid\":63}}}\0",
            ("GetGroupRecord", _, Some("video")) => "{\"parameters\":{\"record\":{\"groupName\":\"video\",\"gid\":64}}}\0",
            _ => NOT_FOUND,
        };
        Some(answer.to_string())
    }

    #[test]
    fn records_become_lines() {
        let fake = Fake::new("lines", bob);
        let groups = "audio:x:63:bob\nvideo:x:64:bob\n";
        assert_eq!(user(&fake.0, "bob"), Ok(Some(("bob:x:60001:60002::/home/bob\n".into(), groups.into()))));
        assert_eq!(user(&fake.0, "bare"), Ok(Some(("bare:x:60003:60003::\n".into(), String::new()))));
        assert_eq!(group(&fake.0, "video"), Ok(Some("video:x:64:\n".into())));
        assert_eq!((user(&fake.0, "nobody-here"), group(&fake.0, "none")), (Ok(None), Ok(None)));
    }

    #[test]
    fn a_record_can_not_smuggle_a_line() {
        let fake = Fake::new("evil", bob);
        assert!(user(&fake.0, "evil").unwrap_err().contains("can't be a field"));
    }

    #[test]
    fn without_a_database_nobody_is_known() {
        assert_eq!(user(Path::new("/no/such/socket"), "bob"), Ok(None));
        let fake = Fake::new("gone", bob);
        std::fs::remove_file(&fake.0).unwrap();
        drop(UnixListener::bind(&fake.0).unwrap());
        assert_eq!(user(&fake.0, "bob"), Ok(None));
    }

    #[test]
    fn a_database_that_fails_is_said_to() {
        let broken = Fake::new("broken", |_| Some("no json\0".into()));
        assert!(user(&broken.0, "bob").unwrap_err().starts_with("an answer that is no JSON"));
        let refuses = Fake::new("refuses", |_| Some("{\"error\":\"io.systemd.UserDatabase.ServiceNotAvailable\"}\0".into()));
        assert_eq!(user(&refuses.0, "bob").unwrap_err(), "io.systemd.UserDatabase.ServiceNotAvailable");
        let hangs_up = Fake::new("hangs-up", |_| Some(String::new()));
        assert_eq!(user(&hangs_up.0, "bob").unwrap_err(), "it hung up");
        let silent = Fake::new("silent", |_| None);
        assert_eq!(user(&silent.0, "bob").unwrap_err(), "no answer in 5 s");
    }

    #[test]
    fn no_database_keeps_a_start_waiting() {
        let endless = Fake::new("endless", |_| Some("{\"parameters\":{\"record\":1},\"continues\":true}\0".repeat(50_000)));
        assert_eq!(user(&endless.0, "bob").unwrap_err(), "its answer does not end");
        // Five seconds are for all questions of a start.
        let spent = Database { socket: &endless.0, deadline: Instant::now() };
        assert_eq!(spent.group("audio").unwrap_err(), "no answer in 5 s");
        // One that takes up nothing has a queue, which is full at some time.
        let path = std::env::temp_dir().join(format!("exec2-userdb-full-{}", std::process::id()));
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let _first = UnixStream::connect(&path).unwrap();
        assert_eq!(user(&path, "bob").unwrap_err(), "no answer in 5 s");
        std::fs::remove_file(&path).unwrap();
    }
}

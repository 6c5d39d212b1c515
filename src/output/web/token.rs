//! The secret that clients know.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use subtle::ConstantTimeEq as _;

use super::super::printable_path;

/// Fewer characters could be guessed: of hexadecimal digits, so many are 64 bits.
const SHORTEST: usize = 16;
/// No secret is longer, in bytes.
const LONGEST: usize = 1024;

/// A pipe, such as that of `<(pass show token)`, has its token through by then.
const PIPE_PATIENCE: Duration = Duration::from_secs(5);

/// The secret that clients send along: as a bearer token (RFC 6750), or as the password of any user (RFC 7617).
pub(super) struct Token(String);

/// Why a file is not taken for a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("{}: cannot read the token: {source}", printable_path(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a pipe, and nobody writes to it, or not to the end.
    #[error("{}: is a pipe, and no whole token came through it within {} s", printable_path(.path), PIPE_PATIENCE.as_secs())]
    Silent {
        /// The pipe.
        path: PathBuf,
    },
    /// There is nothing in it.
    #[error("{}: the token is empty; make one with: openssl rand -hex 32", printable_path(.path))]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It could be guessed.
    #[error(
        "{}: a token has at least {SHORTEST} characters, and this one {len}; make one with: openssl rand -hex 32",
        printable_path(.path)
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// Its characters.
        len: usize,
    },
    /// It is no line of visible ASCII characters: no header could carry it.
    #[error("{}: a token is one line of at most {LONGEST} visible ASCII characters, without spaces", printable_path(.path))]
    Form {
        /// The file.
        path: PathBuf,
    },
}

impl Token {
    /// Reads the file, and what is to be said of it.
    ///
    /// # Errors
    /// [`TokenError`]: it cannot be read, or is no good as a token.
    pub(super) fn read(path: &Path) -> Result<(Self, Option<String>), TokenError> {
        let failed = |source| TokenError::Read { path: path.to_owned(), source };
        // a pipe that nobody writes to would not even be opened
        let without_waiting = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let file = OpenOptions::new().read(true).custom_flags(without_waiting).open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?;
        let text = read_in_time(&file, PIPE_PATIENCE).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => TokenError::Silent { path: path.to_owned() },
            _ => failed(error),
        })?;
        let path = path.to_owned();
        let token = text.trim_ascii_end();
        match token.len() {
            0 => Err(TokenError::Empty { path }),
            _ if !token.iter().all(u8::is_ascii_graphic) => Err(TokenError::Form { path }),
            LONGEST.. if token.len() > LONGEST => Err(TokenError::Form { path }),
            len @ 0..SHORTEST => Err(TokenError::Short { path, len }),
            _ => {
                let is_open = found.is_file() && found.mode() & 0o004 != 0;
                let remark = is_open.then(|| {
                    let path = printable_path(&path);
                    format!("{path}: every user of this host can read the token; chmod o-r takes that away")
                });
                Ok((Self(String::from_utf8_lossy(token).into_owned()), remark))
            }
        }
    }

    /// An `Authorization` header (RFC 9110, section 11.6.2) has the token. The time this takes tells no more of it than
    /// its length.
    pub(super) fn is_in(&self, authorization: &[u8]) -> bool {
        let Some(at) = authorization.iter().position(|byte| *byte == b' ') else { return false };
        let (scheme, credentials) = (&authorization[..at], authorization[at..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"Bearer") {
            return self.is(credentials);
        }
        if !scheme.eq_ignore_ascii_case(b"Basic") {
            return false;
        }
        let Ok(decoded) = BASE64_STANDARD.decode(credentials) else { return false };
        // a user's name has no colon, a password may
        let colon = decoded.iter().position(|byte| *byte == b':');
        colon.is_some_and(|colon| self.is(&decoded[colon + 1..]))
    }

    fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }
}

/// Reads a file or a pipe to its end, or as much as a token has at most.
///
/// # Errors
/// Those of reading; [`io::ErrorKind::TimedOut`] when the end of a pipe does not come in time.
fn read_in_time(file: &File, patience: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + patience;
    let mut text = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        // what is there by now, or a bit more than a token has
        match file.take((LONGEST + 3 - text.len()) as u64).read_to_end(&mut text) {
            Ok(_) => return Ok(text),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const SECRET: &str = "correct:horse:battery";

    #[test]
    fn clients_have_the_token_or_not() {
        let token = Token(SECRET.to_owned());
        let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
        let cases = [
            ("bearer", format!("Bearer {SECRET}"), true),
            ("in other letters", format!("bEARER  {SECRET} "), true),
            ("basic", basic(&format!("anybody:{SECRET}")), true),
            ("no user", basic(&format!(":{SECRET}")), true),
            ("in other letters, basic", basic(&format!("u:{SECRET}")).replace("Basic", "basic"), true),
            ("a part", format!("Bearer {}", &SECRET[1..]), false),
            ("more", format!("Bearer {SECRET}x"), false),
            ("nothing", "Bearer ".to_owned(), false),
            ("no scheme", SECRET.to_owned(), false),
            ("another scheme", format!("Digest {SECRET}"), false),
            ("as the user", basic(&format!("{SECRET}:")), false),
            ("no colon", basic("correct"), false),
            ("no base64", format!("Basic {SECRET}"), false),
            ("empty", String::new(), false),
        ];
        for (name, header, want) in cases {
            assert_eq!(token.is_in(header.as_bytes()), want, "{name}");
        }
    }

    #[test]
    fn files_with_tokens() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let long = "x".repeat(LONGEST);
        let cases = [
            ("good", "0123456789abcdef\n", "ok"),
            ("the longest", &long, "ok"),
            ("empty", "", "the token is empty"),
            ("blank", " \n\n", "the token is empty"),
            ("short", "0123456789abcde\n", "a token has at least 16 characters, and this one 15"),
            ("two lines", "0123456789abcdef\n0123456789abcdef\n", "a token is one line"),
            ("a space", "0123456789 abcdef", "a token is one line"),
            ("other letters", "0123456789abcdéf", "a token is one line"),
            ("too long", &format!("{long}x"), "a token is one line"),
        ];
        for (name, text, want) in cases {
            fs::write(&path, text).expect("room");
            let got = Token::read(&path).map_or_else(|error| error.to_string(), |_| "ok".to_owned());
            assert!(got.contains(want), "{name}: {got}");
        }
        let missing = Token::read(&folder.path().join("none")).expect_err("it is not there").to_string();
        assert!(missing.ends_with("none: cannot read the token: No such file or directory (os error 2)"), "{missing}");
        // a pipe of the shell, and one that nobody writes to
        let (from_shell, mut shell) = io::pipe().expect("a pipe");
        writeln!(shell, "{SECRET}").expect("room");
        drop(shell);
        let through_pipe = format!("/dev/fd/{}", from_shell.as_raw_fd());
        let (token, remark) = Token::read(Path::new(&through_pipe)).expect("good");
        assert_eq!((token.0.as_str(), remark), (SECRET, None));
        let (silent, _nobody) = io::pipe().expect("a pipe");
        let silent = File::from(std::os::fd::OwnedFd::from(silent));
        let error = read_in_time(&silent, Duration::from_millis(10)).expect_err("nobody writes");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        fs::write(&path, SECRET).expect("room");
        for (mode, is_told) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
            let (_, remark) = Token::read(&path).expect("good");
            assert_eq!(remark.is_some(), is_told, "{mode:o}");
        }
        assert!(!format!("{:?}", Token(SECRET.into())).contains("horse"));
    }
}

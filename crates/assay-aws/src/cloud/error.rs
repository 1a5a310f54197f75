//! What a call to the cloud ended with. It owns the sorting of EC2's error codes into what can be done about them and the
//! cleaning of EC2's words; it refuses to know the SDK.

use assay_model::UndecidedKind;

/// A call's result.
pub type CloudResult<T> = Result<T, CloudError>;

/// What a call ended with, sorted by what can be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloudErrorKind {
    /// No such thing (`Invalid*.NotFound`). Right after creation it may only be not yet visible.
    NotFound,
    /// A thing of that name exists (`InvalidKeyPair.Duplicate`, `InvalidGroup.Duplicate`).
    Duplicate,
    /// Still used by something else (`DependencyViolation`).
    InUse,
    /// `RequestLimitExceeded`, `Throttling`.
    Throttled,
    /// `InsufficientInstanceCapacity`, `InstanceLimitExceeded`, `VcpuLimitExceeded` ….
    NoCapacity,
    /// `UnauthorizedOperation`, `OperationNotPermitted`.
    Denied,
    /// Missing, expired or wrong credentials (`AuthFailure`, `ExpiredToken`, `RequestExpired`, none found).
    Credentials,
    /// No credentials yet: where they come from did not answer, or asked for patience. Nothing was sent.
    NoCredentialsYet,
    /// A parameter that EC2 refused.
    Invalid,
    /// No answer: the request may or may not have been done.
    Unknown,
    /// Any other answer.
    Other,
}

impl CloudErrorKind {
    /// What it means for an AMI under test: never that it failed.
    pub fn undecided(self) -> UndecidedKind {
        match self {
            Self::Throttled => UndecidedKind::Throttled,
            Self::NoCapacity => UndecidedKind::NoCapacity,
            Self::Denied | Self::Credentials | Self::NoCredentialsYet => UndecidedKind::Credentials,
            _ => UndecidedKind::Cloud,
        }
    }
}

/// An EC2 call that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{action} in {region}: {code}: {message}")]
pub struct CloudError {
    /// EC2's action, e.g. `RunInstances`.
    pub action: &'static str,
    /// Where.
    pub region: String,
    /// What can be done about it.
    pub kind: CloudErrorKind,
    /// EC2's error code, or a word of ours in angle brackets where no answer came.
    pub code: String,
    /// EC2's message, bounded and escaped.
    pub message: String,
}

/// The longest message that is kept of an answer, in characters.
const LONGEST_MESSAGE: usize = 400;

/// `text` without anything that could act on a terminal or a log: control, format and line-separating characters become `\u{…}`, and
/// what is beyond [`LONGEST_MESSAGE`] characters is cut. EC2's messages repeat what users and other principals typed.
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == LONGEST_MESSAGE {
            out.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Unicode's bidirectional controls, zero-width characters, line separators and the byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{061C}' | '\u{FEFF}')
}

/// What EC2 could not give for a launch, and with it where the next try may do better. Such an answer says for certain that nothing was launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapacityShortfall {
    /// Room, addresses or the type itself in this availability zone: another one may have it.
    Zone,
    /// Quota, or a price, that holds for the type in the whole region: another type may be free of it.
    Type,
}

impl CapacityShortfall {
    /// What an EC2 error code says is lacking. The codes: "Error codes for the Amazon EC2 API" in the EC2 API reference. EC2 sends some of them with
    /// HTTP status 500, which clients take for a passing failure of the service.
    pub fn of_code(code: &str) -> Option<Self> {
        match code {
            "InsufficientInstanceCapacity"
            | "InsufficientHostCapacity"
            | "InsufficientCapacity"
            | "InsufficientVolumeCapacity"
            | "InsufficientFreeAddressesInSubnet"
            | "Unsupported"
            | "SpotMaxPriceTooLow" => Some(Self::Zone),
            "InstanceLimitExceeded" | "VcpuLimitExceeded" | "MaxSpotInstanceCountExceeded" => Some(Self::Type),
            _ => None,
        }
    }

    /// What the code of an instance's StateReason says was lacking where EC2 ended it before it ran ("StateReason" in the EC2 API reference).
    pub fn of_state_reason(code: &str) -> Option<Self> {
        match code {
            "Server.InsufficientInstanceCapacity" | "Server.SpotInstanceTermination" | "Server.InternalError" => {
                Some(Self::Zone)
            }
            _ => None,
        }
    }
}

impl CloudError {
    /// What a launch lacked, where another zone or type may have it.
    pub fn lack(&self) -> Option<CapacityShortfall> {
        CapacityShortfall::of_code(&self.code)
    }

    /// Whether a policy forbids it in so many words, as an organisation's does for regions that it does not use. What is merely not allowed reads otherwise ("Troubleshoot
    /// access denied error messages" in the IAM user guide).
    pub fn is_explicitly_denied(&self) -> bool {
        self.kind == CloudErrorKind::Denied && self.message.contains("explicit deny")
    }

    /// Whether the instance type is of another architecture than the AMI. The code is EC2's for any wrong value; only the words say which.
    pub fn is_of_another_architecture(&self) -> bool {
        self.code.starts_with("InvalidParameter") && self.message.to_ascii_lowercase().contains("architecture")
    }
}

impl CloudErrorKind {
    /// Sorts an EC2 or STS error code that came with HTTP status `status`. The codes: "Error codes for the Amazon EC2 API" in the EC2 API
    /// reference. A 5xx without a meaning of its own says that the service failed at some point, not that nothing was done: `Unknown`.
    pub fn of_code(code: &str, status: u16) -> Self {
        match code {
            "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "EC2ThrottledException"
            | "RequestThrottled"
            | "TooManyRequestsException"
            | "SlowDown" => Self::Throttled,
            "UnauthorizedOperation"
            | "OperationNotPermitted"
            | "AccessDenied"
            | "AccessDeniedException"
            | "Blocked"
            | "OptInRequired"
            | "PendingVerification" => Self::Denied,
            "AuthFailure"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "RequestExpired"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "MissingAuthenticationToken"
            | "InvalidAccessKeyId" => Self::Credentials,
            "DependencyViolation" | "VolumeInUse" | "IncorrectState" | "IncorrectInstanceState" => Self::InUse,
            "Unsupported"
            | "UnknownParameter"
            | "MissingParameter"
            | "IdempotentParameterMismatch"
            | "VPCIdNotSpecified" => Self::Invalid,
            "SpotMaxPriceTooLow" => Self::NoCapacity,
            _ => Self::of_pattern(code, status),
        }
    }

    /// The codes that EC2 builds by a pattern.
    fn of_pattern(code: &str, status: u16) -> Self {
        if code.ends_with(".NotFound") || code.ends_with("NotFoundException") {
            Self::NotFound
        } else if code.ends_with(".Duplicate") {
            Self::Duplicate
        } else if code.ends_with(".InUse") {
            Self::InUse
        } else if code.starts_with("Insufficient") || code.ends_with("LimitExceeded") || code.ends_with("CountExceeded")
        {
            Self::NoCapacity
        } else if code.starts_with("Invalid") {
            Self::Invalid
        } else if status >= 500 || status == 0 {
            Self::Unknown
        } else {
            Self::Other
        }
    }

    /// Whether the same call may succeed a little later.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Throttled | Self::Unknown | Self::NoCredentialsYet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_can_be_done() {
        use CloudErrorKind::*;
        for (code, status, kind) in [
            ("InvalidInstanceID.NotFound", 400, NotFound),
            ("InvalidKeyPair.Duplicate", 400, Duplicate),
            ("InvalidPermission.Duplicate", 400, Duplicate),
            ("DependencyViolation", 400, InUse),
            ("InvalidGroup.InUse", 400, InUse),
            ("RequestLimitExceeded", 503, Throttled),
            ("InsufficientInstanceCapacity", 500, NoCapacity),
            ("VcpuLimitExceeded", 400, NoCapacity),
            ("UnauthorizedOperation", 403, Denied),
            ("RequestExpired", 400, Credentials),
            ("InvalidParameterValue", 400, Invalid),
            ("InternalError", 500, Unknown),
            ("Unavailable", 503, Unknown),
            ("SomethingNew", 400, Other),
        ] {
            assert_eq!(CloudErrorKind::of_code(code, status), kind, "{code}");
        }
    }

    #[test]
    fn a_message_cannot_act_on_a_terminal() {
        assert_eq!(plain("bad\u{1b}[31m\u{202e}x\n"), "bad\\u{1b}[31m\\u{202e}x");
        assert_eq!(plain(&"x".repeat(5000)).chars().count(), LONGEST_MESSAGE + 1);
    }
}

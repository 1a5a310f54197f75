//! The options that say by which way an instance is reached: a prober elsewhere, a bastion, a command.

use super::{BlockField, FieldKind, OptionDecl, OptionKind, OptionOrigin, OptionSection, field, option};

const PROBER: &[BlockField] = &[
    field("address", FieldKind::String, "`HOST:PORT` of `assay serve`; the host is what its certificate must name."),
    field("ca", FieldKind::String, "The file with the certificate of the authority that signed the server's."),
    field("cert", FieldKind::String, "The file with this client's certificate, and its chain if there is one."),
    field("key", FieldKind::String, "The file with this client's private key, without a passphrase."),
];

/// See the module.
pub(super) const OPTIONS: &[OptionDecl] = &[
    option(
        "prober",
        OptionKind::Block(PROBER),
        OptionOrigin::Assay,
        "A prober on another host (`assay serve`), over TCP with mutual TLS; all four attributes are needed. On the command line each has a flag: `--prober-address` and so on. See [remote prober](remote-prober.md).",
    )
    .default("a confined process on this machine")
    .file(OptionSection::Top, "prober"),
    option(
        "ssh_proxy_command",
        OptionKind::String,
        OptionOrigin::Assay,
        "A command, run by `sh` on this machine, whose input and output are the connection to the SSH server. `{host}`, `{port}` and `{instance_id}` are filled in, as are OpenSSH's `%h`, `%p` and `%%`. Not together with `ssh_bastion_host`.",
    )
    .file(OptionSection::Ssh, "proxy_command")
    .flag("ssh-proxy-command"),
    bastion("ssh_bastion_host", OptionKind::String, "bastion_host", "A jump host: the instance is reached through it.")
        .flag("ssh-bastion-host"),
    bastion("ssh_bastion_port", OptionKind::Number, "bastion_port", "The port of the jump host's SSH server.")
        .default("22")
        .flag("ssh-bastion-port"),
    bastion("ssh_bastion_username", OptionKind::String, "bastion_username", "The account on the jump host; needed with it.")
        .flag("ssh-bastion-username"),
    bastion(
        "ssh_bastion_private_key_file",
        OptionKind::String,
        "bastion_private_key_file",
        "The private key for the jump host, without a passphrase; needed with it.",
    )
    .flag("ssh-bastion-private-key-file"),
    option(
        "ssh_bastion_known_hosts_file",
        OptionKind::String,
        OptionOrigin::Assay,
        "The jump host's key, in OpenSSH's known_hosts format. Without it any key is taken, as by Packer's communicator, and the record says so.",
    )
    .file(OptionSection::Ssh, "bastion_known_hosts_file")
    .flag("ssh-bastion-known-hosts-file"),
];

const fn bastion(name: &'static str, kind: OptionKind, in_file: &'static str, doc: &'static str) -> OptionDecl {
    option(name, kind, OptionOrigin::Communicator, doc).file(OptionSection::Ssh, in_file)
}

#!/usr/bin/env python3
"""Owns the figures of one host behind a slow line: how long the whole `assay probe` process takes beside `ssh host true`, goss copied and run, and
testinfra, through a proxy that adds a round trip of 50 ms, in turn, in the same rounds. Prints; asserts nothing, since these machines are shared and
noisy. It starts its own sshd on loopback and needs no root:

  benches/latency.py [--assay target/release/assay] [--rounds 5] [--round-trip 50] [--goss ~/go/bin/goss] [--testinfra VENV]
"""

from __future__ import annotations

import argparse
import pathlib
import statistics

from ground import ROOT, TOOLS, Delay, Server, machine, must, row, seconds, server, suites


def probe(assay: pathlib.Path, on: Server, port: int, suite: pathlib.Path) -> None:
    """The whole process, with the host key given."""
    host_key = " ".join((on.folder / "host_key.pub").read_text().split()[:2])
    must([str(assay), "probe", "--host", f"{on.user}@127.0.0.1:{port}", "--key", str(on.key), "--host-key", host_key, "--suite", str(suite)], cwd=on.folder)


def goss(program: pathlib.Path, on: Server, port: int, suite: pathlib.Path) -> None:
    """goss's own way for machines that do not have it: copied there, then run."""
    must(["scp", "-q", *on.ssh(port, "-P"), str(program), str(suite), f"{on.user}@127.0.0.1:{on.folder}/there/"])
    must(on.command(port, f"{on.folder}/there/{program.name} -g {on.folder}/there/{suite.name} validate -f silent"))


def testinfra(venv: pathlib.Path, on: Server, port: int, count: int) -> None:
    """pytest with testinfra's ssh backend and as many checks of files and commands."""
    tests = on.folder / "test_bench.py"
    tests.write_text(
        "import pytest\n"
        f"@pytest.mark.parametrize('n', range({count}))\n"
        "def test_it(host, n):\n"
        "    if n % 10 in (3, 4, 5):\n        assert host.run(f'echo {n}').stdout.strip() == str(n)\n"
        "    else:\n        assert host.file('/etc/passwd').exists\n"
    )
    config = on.folder / "ssh_config"
    config.write_text(f"Host bench\n HostName 127.0.0.1\n Port {port}\n User {on.user}\n IdentityFile {on.key}\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n")
    must([str(venv / "bin/pytest"), "-q", "-p", "no:cacheprovider", f"--ssh-config={config}", "--hosts=ssh://bench", str(tests)], cwd=on.folder)


def main() -> None:
    """Prints every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--assay", type=pathlib.Path, default=ROOT / "target/release/assay")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--round-trip", type=float, default=50, help="milliseconds")
    parser.add_argument("--goss", type=pathlib.Path, default=TOOLS / "bin/goss", help="left out where it is missing: go install github.com/goss-org/goss/cmd/goss@v0.4.9")
    parser.add_argument("--testinfra", type=pathlib.Path, help="a venv with pytest-testinfra; left out where not given (it takes minutes)")
    options = parser.parse_args()
    assay = options.assay.resolve()
    with server() as on:
        delay = Delay(on.ports[0], options.round_trip / 1000)
        try:
            (on.folder / "there").mkdir()
            few, few_goss = suites(on.folder, 100)
            many, _ = suites(on.folder, 1000)
            peers = {
                "ssh host true": lambda: must(on.command(delay.port, "true")),
                "assay probe, 100 checks": lambda: probe(assay, on, delay.port, few),
                "assay probe, 1,000 checks": lambda: probe(assay, on, delay.port, many),
            }
            if options.goss.exists():
                peers["goss copied and run, 100 checks"] = lambda: goss(options.goss.resolve(), on, delay.port, few_goss)
            if options.testinfra:
                peers["testinfra over ssh, 100 checks"] = lambda: testinfra(options.testinfra.resolve(), on, delay.port, 100)
            print(f"{machine()}; round trip {options.round_trip:.0f} ms; {assay}; {options.rounds} rounds, each in turn")
            times: dict[str, list[float]] = {name: [] for name in peers}
            for _ in range(options.rounds):
                for name, run in peers.items():
                    times[name].append(seconds(run))
        finally:
            delay.close()
    for name, taken in times.items():
        print(row(name, taken, times["ssh host true"]))
    best = min(times["assay probe, 100 checks"]) / min(times["ssh host true"])
    print(f"{'':44} of the best runs, 100 checks: {best:.2f} x; of the medians: {statistics.median(times['assay probe, 100 checks']) / statistics.median(times['ssh host true']):.2f} x")


if __name__ == "__main__":
    main()

"""Where the mini cloud is as unkind as EC2 documents: each behaviour is a small class or function here, and says where it is documented.

| module | what EC2 does |
|---|---|
| `throttling` | RequestLimitExceeded from token buckets of the published sizes |
| `credentials` | sessions that end |
| `refusals` | encoded authorization messages, denied regions |
| `idempotence` | one client token is one thing, and its two errors |
| `visibility` | what is new is unknown, changed tags show late |
| `dependencies` | groups in use, limits of tags |
| `pages` | pages, opaque tokens, accounts in which pages are demanded |
| `images` | copies that are pending and fail, deregistered images that linger, keys by region |
| `lifetimes` | states that last |
| `groups` | security group rules on port 22 |
| `metadata` | the instance metadata service |
| `no_ed25519` | an sshd as FIPS has it |
| `spot` | interruptions |
| `circumstances` | what of it is switched on by whoever tests |
| `whole` | all of them around one call |
"""

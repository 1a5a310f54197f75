"""The mini cloud: an EC2 whose instances really boot, on one Linux machine.

Reading order: cli (the verbs) -> bootstrap, tree, aptrepo (what is installed once) -> server (one running cloud) ->
gateway (every API call passes it: keys, faults, log) -> api (moto, and what is patched in it) -> cloud (which instance is
which machine) -> machine, booted, light (what an instance is) -> network (how its port 22 is reached).

It refuses to be more than EC2 as builders and testers of images need it: no S3, no billing, no IAM policies.
"""

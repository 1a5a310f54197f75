#!/bin/sh
# Brings every installed package up to date, without questions and without touching changed configuration files.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold upgrade

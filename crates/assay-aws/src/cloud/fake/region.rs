//! One region of the fake cloud: each verb of [`Cloud`] on the stock in memory. It owns the order hook, log, fault, work.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::PoisonError,
};

use futures::future::{BoxFuture, FutureExt};

use super::{FakeCloud, FakeFault, FakeInstance, FakeState, FakeTags};
use crate::cloud::{
    Cloud, CloudError, CloudErrorKind, CloudImage, CloudInstance, CloudResult, CloudSubnet, DescribeFilters,
    InstanceStatus, NamedResource, RunInstances,
};
use assay_model::{AmiId, Region};

/// One region of a [`FakeCloud`].
pub(super) struct FakeRegion {
    pub(super) cloud: FakeCloud,
    pub(super) region: Region,
}

impl FakeRegion {
    fn error(&self, action: &'static str, kind: CloudErrorKind) -> CloudError {
        let code = format!("Fake.{kind:?}");
        CloudError { action, region: self.region.to_string(), kind, code, message: "scripted".to_owned() }
    }

    fn refused(&self, action: &'static str, code: &str) -> CloudError {
        let (code, message) = code.split_once(": ").unwrap_or((code, "scripted"));
        let kind = CloudErrorKind::of_code(code, 500);
        CloudError { code: code.to_owned(), message: message.to_owned(), ..self.error(action, kind) }
    }

    /// One call: the hook, the log, the fault, and `work` on this region's stock.
    pub(super) fn call<'a, T: Send + 'a>(
        &'a self,
        action: &'static str,
        subject: &str,
        work: impl FnOnce(&mut FakeState, &Region) -> Result<T, CloudErrorKind> + Send + 'a,
    ) -> BoxFuture<'a, CloudResult<T>> {
        let subject = subject.to_owned();
        async move {
            // Points where a caller can be cancelled, as on the network.
            tokio::task::yield_now().await;
            let answer = self.serve(action, &subject, work);
            tokio::task::yield_now().await;
            answer
        }
        .boxed()
    }

    fn serve<T>(
        &self,
        action: &'static str,
        subject: &str,
        work: impl FnOnce(&mut FakeState, &Region) -> Result<T, CloudErrorKind>,
    ) -> CloudResult<T> {
        if let Some(hook) = &*self.cloud.hook.lock().unwrap_or_else(PoisonError::into_inner) {
            hook(action, subject);
        }
        let mut state = self.cloud.lock();
        state.calls.push(format!("{} {action} {subject}", self.region));
        let fault = state.faults.get_mut(action).and_then(VecDeque::pop_front);
        match fault {
            Some(FakeFault::Refuse(kind)) => return Err(self.error(action, kind)),
            Some(FakeFault::Code(code)) => return Err(self.refused(action, code)),
            Some(FakeFault::Drop) => return Err(self.error(action, CloudErrorKind::Unknown)),
            Some(FakeFault::Panic) => {
                drop(state);
                panic!("scripted panic in {action}");
            }
            Some(FakeFault::LoseAnswer) | None => {}
        }
        let done = work(&mut state, &self.region).map_err(|kind| self.error(action, kind))?;
        if fault == Some(FakeFault::LoseAnswer) { Err(self.error(action, CloudErrorKind::Unknown)) } else { Ok(done) }
    }
}

pub(super) fn matches(tags: &FakeTags, wanted: &[(String, String)]) -> bool {
    !wanted.is_empty() && wanted.iter().all(|(key, value)| tags.get(key) == Some(value))
}

/// By the `tag:…` filters alone.
fn tagged(tags: &FakeTags, filters: &DescribeFilters) -> bool {
    let by_tag = filters.iter().filter_map(|(name, values)| Some((name.strip_prefix("tag:")?, values)));
    by_tag.into_iter().all(|(key, values)| tags.get(key).is_some_and(|has| values.contains(has)))
}

fn named(id: &str, name: &str, tags: &FakeTags) -> NamedResource {
    NamedResource { id: id.to_owned(), name: name.to_owned(), created_at: None, tags: tags.clone() }
}

impl Cloud for FakeRegion {
    fn region(&self) -> &Region {
        &self.region
    }

    fn describe_images<'a>(&'a self, ids: &'a [AmiId]) -> BoxFuture<'a, CloudResult<Vec<CloudImage>>> {
        self.call("DescribeImages", "", move |state, region| {
            let find = |id: &AmiId| state.images.get(&(region.clone(), id.clone())).cloned();
            ids.iter().map(|id| find(id).ok_or(CloudErrorKind::NotFound)).collect()
        })
    }

    fn find_images<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<CloudImage>>> {
        self.call("DescribeImages", "", move |state, region| {
            let here = state.images.iter().filter(|((at, _), image)| at == region && matches(&image.tags, tags));
            Ok(here.map(|(_, image)| image.clone()).collect())
        })
    }

    fn create_tags<'a>(&'a self, ids: &'a [String], tags: &'a FakeTags) -> BoxFuture<'a, CloudResult<()>> {
        self.call("CreateTags", &ids.join(","), move |state, region| {
            for ((at, id), image) in &mut state.images {
                if at == region && ids.iter().any(|wanted| wanted == id.as_str()) {
                    image.tags.extend(tags.clone());
                }
            }
            for snapshot in state.holdings.entry(region.clone()).or_default().snapshots.values_mut() {
                if ids.contains(&snapshot.id) {
                    snapshot.tags.extend(tags.clone());
                }
            }
            Ok(())
        })
    }

    fn describe_tags<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, CloudResult<BTreeMap<String, FakeTags>>> {
        self.call("DescribeTags", &ids.join(","), move |state, region| {
            let images = state.images.iter().filter(|((at, _), _)| at == region);
            let mut all: BTreeMap<String, FakeTags> =
                images.map(|((_, id), i)| (id.to_string(), i.tags.clone())).collect();
            let snapshots = state.holdings.entry(region.clone()).or_default().snapshots.values();
            all.extend(snapshots.map(|snapshot| (snapshot.id.clone(), snapshot.tags.clone())));
            let stock = state.stock(region);
            all.extend(stock.instances.iter().map(|(id, i)| (id.clone(), i.told.tags.clone())));
            all.extend(stock.keys.iter().map(|(name, tags)| (format!("key-{name}"), tags.clone())));
            all.extend(stock.groups.iter().map(|(id, (_, tags, _))| (id.clone(), tags.clone())));
            all.extend(stock.volumes.clone());
            all.retain(|id, tags| ids.contains(id) && !tags.is_empty());
            Ok(all)
        })
    }

    fn enable_deregistration_protection<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        self.protect("EnableImageDeregistrationProtection", id, true)
    }

    fn disable_deregistration_protection<'a>(&'a self, id: &'a AmiId) -> BoxFuture<'a, CloudResult<()>> {
        self.protect("DisableImageDeregistrationProtection", id, false)
    }

    fn import_key_pair<'a>(
        &'a self,
        name: &'a str,
        _public_key: &'a str,
        tags: &'a FakeTags,
    ) -> BoxFuture<'a, CloudResult<String>> {
        self.call("ImportKeyPair", name, move |state, region| {
            let keys = &mut state.stock(region).keys;
            if keys.contains_key(name) {
                return Err(CloudErrorKind::Duplicate);
            }
            keys.insert(name.to_owned(), tags.clone());
            Ok(format!("key-{name}"))
        })
    }

    fn delete_key_pair<'a>(&'a self, name: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.call("DeleteKeyPair", name, move |state, region| {
            state.stock(region).keys.remove(name);
            Ok(())
        })
    }

    fn find_key_pairs<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<NamedResource>>> {
        self.call("DescribeKeyPairs", "", move |state, region| {
            let found = state.stock(region).keys.iter().filter(|(_, has)| matches(has, tags));
            let named = |(name, tags): (&String, &FakeTags)| NamedResource {
                id: format!("key-{name}"),
                name: name.clone(),
                created_at: None,
                tags: tags.clone(),
            };
            Ok(found.map(named).collect())
        })
    }

    fn find_vpcs<'a>(&'a self, filters: &'a DescribeFilters) -> BoxFuture<'a, CloudResult<Vec<String>>> {
        self.call("DescribeVpcs", "", move |state, region| {
            if filters.contains_key("is-default") {
                return Ok(vec!["vpc-1".to_owned()]);
            }
            let vpcs = state.stock(region).vpcs.iter();
            Ok(vpcs.filter(|(_, tags)| tagged(tags, filters)).map(|(id, _)| id.clone()).collect())
        })
    }

    fn find_subnets<'a>(&'a self, filters: &'a DescribeFilters) -> BoxFuture<'a, CloudResult<Vec<CloudSubnet>>> {
        self.call("DescribeSubnets", "", move |state, region| {
            let fits = |name: &str, value: &str| filters.get(name).is_none_or(|v| v.iter().any(|one| one == value));
            let subnets = state.stock(region).subnets.iter();
            let found = subnets.filter(|(subnet, tags)| {
                let default = if subnet.vpc == "vpc-1" { "true" } else { "false" };
                fits("subnet-id", &subnet.id)
                    && fits("vpc-id", &subnet.vpc)
                    && fits("default-for-az", default)
                    && tagged(tags, filters)
            });
            Ok(found.map(|(subnet, _)| subnet.clone()).collect())
        })
    }

    fn filter_security_groups<'a>(
        &'a self,
        filters: &'a DescribeFilters,
    ) -> BoxFuture<'a, CloudResult<Vec<NamedResource>>> {
        self.call("DescribeSecurityGroups", "", move |state, region| {
            let groups = state.stock(region).groups.iter().filter(|(_, (_, tags, _))| tagged(tags, filters));
            Ok(groups.map(|(id, (name, tags, _))| named(id, name, tags)).collect())
        })
    }

    fn create_security_group<'a>(
        &'a self,
        name: &'a str,
        _vpc: Option<&'a str>,
        tags: &'a FakeTags,
    ) -> BoxFuture<'a, CloudResult<String>> {
        self.call("CreateSecurityGroup", name, move |state, region| {
            if state.stock(region).groups.values().any(|(known, ..)| known == name) {
                return Err(CloudErrorKind::Duplicate);
            }
            let id = state.number("sg");
            state.stock(region).groups.insert(id.clone(), (name.to_owned(), tags.clone(), Vec::new()));
            Ok(id)
        })
    }

    fn authorize_ingress<'a>(
        &'a self,
        group: &'a str,
        port: u16,
        cidrs: &'a [String],
    ) -> BoxFuture<'a, CloudResult<()>> {
        self.call("AuthorizeSecurityGroupIngress", group, move |state, region| {
            let (.., rules) = state.stock(region).groups.get_mut(group).ok_or(CloudErrorKind::NotFound)?;
            if cidrs.iter().any(|cidr| rules.contains(&(port, cidr.clone()))) {
                return Err(CloudErrorKind::Duplicate);
            }
            rules.extend(cidrs.iter().map(|cidr| (port, cidr.clone())));
            Ok(())
        })
    }

    fn delete_security_group<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.call("DeleteSecurityGroup", id, move |state, region| {
            let stock = state.stock(region);
            let held = |i: &FakeInstance| {
                i.told.state != "terminated" && i.request.security_group_ids.iter().any(|group| group == id)
            };
            if stock.instances.values().any(held) {
                return Err(CloudErrorKind::InUse);
            }
            stock.groups.remove(id).map(drop).ok_or(CloudErrorKind::NotFound)
        })
    }

    fn find_security_groups<'a>(
        &'a self,
        tags: &'a [(String, String)],
    ) -> BoxFuture<'a, CloudResult<Vec<NamedResource>>> {
        self.call("DescribeSecurityGroups", "", move |state, region| {
            let found = state.stock(region).groups.iter().filter(|(_, (_, has, _))| matches(has, tags));
            Ok(found.map(|(id, (name, tags, _))| named(id, name, tags)).collect())
        })
    }

    fn run_instance<'a>(&'a self, launch: &'a RunInstances) -> BoxFuture<'a, CloudResult<CloudInstance>> {
        async move {
            let answered = self.call("RunInstances", &launch.client_token, |state, region| {
                Ok(match state.shortage(launch) {
                    Some(code) => Err(self.refused("RunInstances", &code)),
                    None => Ok(state.launch(region, launch)?),
                })
            });
            answered.await?
        }
        .boxed()
    }

    fn describe_instances<'a>(&'a self, ids: &'a [String]) -> BoxFuture<'a, CloudResult<Vec<CloudInstance>>> {
        self.call("DescribeInstances", &ids.join(","), move |state, region| {
            Ok(state.look(region, |instance| ids.contains(&instance.id)))
        })
    }

    fn find_instances<'a>(&'a self, tags: &'a [(String, String)]) -> BoxFuture<'a, CloudResult<Vec<CloudInstance>>> {
        self.call("DescribeInstances", "", move |state, region| Ok(state.look(region, |i| matches(&i.tags, tags))))
    }

    fn instance_status<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<Option<InstanceStatus>>> {
        self.call("DescribeInstanceStatus", id, |state, _| Ok(Some(state.status.clone())))
    }

    fn find_by_client_token<'a>(&'a self, token: &'a str) -> BoxFuture<'a, CloudResult<Vec<CloudInstance>>> {
        self.call("DescribeInstances", token, move |state, region| {
            Ok(state.look(region, |instance| instance.client_token.as_deref() == Some(token)))
        })
    }

    fn reboot_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.call("RebootInstances", id, move |state, region| state.turn(region, id, "running", "running"))
    }

    fn stop_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.call("StopInstances", id, move |state, region| state.turn(region, id, "running", "stopping"))
    }

    fn start_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.call("StartInstances", id, move |state, region| state.turn(region, id, "stopped", "pending"))
    }

    fn terminate_instance<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.call("TerminateInstances", id, move |state, region| {
            let end_looks = state.end_looks;
            let instance = state.stock(region).instances.get_mut(id).filter(|i| i.invisible == 0);
            let instance = instance.ok_or(CloudErrorKind::NotFound)?;
            if instance.told.state != "terminated" {
                "shutting-down".clone_into(&mut instance.told.state);
                instance.looks = end_looks;
            }
            Ok(())
        })
    }

    fn find_volumes<'a>(
        &'a self,
        tags: &'a [(String, String)],
    ) -> BoxFuture<'a, CloudResult<BTreeMap<String, FakeTags>>> {
        self.call("DescribeVolumes", "", move |state, region| {
            let mut found = state.stock(region).volumes.clone();
            found.retain(|_, has| matches(has, tags));
            Ok(found)
        })
    }

    fn delete_volume<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<()>> {
        self.call("DeleteVolume", id, move |state, region| {
            let stock = state.stock(region);
            let holds = |i: &FakeInstance| i.told.state != "terminated" && i.told.volumes.iter().any(|v| v == id);
            if stock.instances.values().any(holds) {
                return Err(CloudErrorKind::InUse);
            }
            stock.volumes.remove(id).map(drop).ok_or(CloudErrorKind::NotFound)
        })
    }

    fn console_output<'a>(&'a self, id: &'a str) -> BoxFuture<'a, CloudResult<Vec<u8>>> {
        self.call("GetConsoleOutput", id, |_, _| Ok(b"console".to_vec()))
    }
}

impl FakeRegion {
    fn protect<'a>(&'a self, action: &'static str, id: &'a AmiId, on: bool) -> BoxFuture<'a, CloudResult<()>> {
        self.call(action, id.as_str(), move |state, region| {
            let image = state.images.get_mut(&(region.clone(), id.clone())).ok_or(CloudErrorKind::NotFound)?;
            image.deregistration_protected = on;
            Ok(())
        })
    }
}

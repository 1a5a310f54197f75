//! The AMIs that fleets and spot requests name by themselves; those that they take from a launch template are seen there. It owns which of them still may
//! launch.

use aws_sdk_ec2::types::{BatchState, FleetStateCode};

use super::{Ec2Cloud, PAGE, answer::cloud_error, convert, uses::ImageMention};
use crate::cloud::{CloudResult, UseKind};

impl Ec2Cloud {
    /// Fleets, Spot Fleet requests and spot instance requests.
    pub(super) async fn fleet_sightings(&self) -> CloudResult<Vec<ImageMention>> {
        let mut found = self.fleets().await?;
        found.extend(self.spot_fleets().await?);
        found.extend(self.spot_requests().await?);
        Ok(found)
    }

    async fn fleets(&self) -> CloudResult<Vec<ImageMention>> {
        let mut found = Vec::new();
        let mut pages = self.client.describe_fleets().into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeFleets", self.region.as_str(), e))?;
            let over = |state| matches!(state, Some(&FleetStateCode::Deleted | &FleetStateCode::Failed));
            for fleet in page.fleets().iter().filter(|fleet| !over(fleet.fleet_state())) {
                let id = fleet.fleet_id().unwrap_or_default();
                let overrides = fleet.launch_template_configs().iter().flat_map(|config| config.overrides());
                found.extend(overrides.filter_map(|one| sighting(one.image_id(), UseKind::Fleet, id)));
            }
        }
        Ok(found)
    }

    async fn spot_fleets(&self) -> CloudResult<Vec<ImageMention>> {
        let mut found = Vec::new();
        let mut pages = self.client.describe_spot_fleet_requests().into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeSpotFleetRequests", self.region.as_str(), e))?;
            let over = |state| matches!(state, Some(&BatchState::Cancelled | &BatchState::Failed));
            for request in page.spot_fleet_request_configs().iter().filter(|r| !over(r.spot_fleet_request_state())) {
                let id = request.spot_fleet_request_id().unwrap_or_default();
                let launches =
                    request.spot_fleet_request_config().into_iter().flat_map(|config| config.launch_specifications());
                found.extend(launches.filter_map(|launch| sighting(launch.image_id(), UseKind::SpotFleetRequest, id)));
            }
        }
        Ok(found)
    }

    /// Those that wait for capacity or will ask again: `open` and `active`.
    async fn spot_requests(&self) -> CloudResult<Vec<ImageMention>> {
        let mut found = Vec::new();
        let states = convert::filter("state", ["open", "active"].map(str::to_owned));
        let mut pages =
            self.client.describe_spot_instance_requests().filters(states).into_paginator().page_size(PAGE).send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| cloud_error("DescribeSpotInstanceRequests", self.region.as_str(), e))?;
            for request in page.spot_instance_requests() {
                let id = request.spot_instance_request_id().unwrap_or_default();
                let image = request.launch_specification().and_then(|launch| launch.image_id());
                found.extend(sighting(image, UseKind::SpotInstanceRequest, id));
            }
        }
        Ok(found)
    }
}

fn sighting(image: Option<&str>, kind: UseKind, id: &str) -> Option<ImageMention> {
    ImageMention::new(image, kind, id, String::new())
}

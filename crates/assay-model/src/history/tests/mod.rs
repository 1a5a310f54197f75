//! The law, by examples and by a model of the registry that explores it in every order of events.

mod examples;
mod explorer;
mod former_rules;
mod registry_model;
mod world;

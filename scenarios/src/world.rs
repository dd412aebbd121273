//! The state of a tutorial: its machines, and the fixtures that its stages leave behind.

pub(crate) mod calico;
mod docker;
mod outside;

use std::any::Any;
use std::collections::BTreeMap;

use netlab::Netns;

pub(crate) use self::docker::{Container, DOCKER_USER, Daemon, Network};
pub(crate) use self::outside::{INTERNET, NAME_SERVER, Names};
use crate::error::{Error, Result};

/// The network of a tutorial at one of its stages.
///
/// What is in the network is asked of the kernel, machine by machine. The world only holds the machines by name, and keeps fixtures alive.
#[derive(Debug)]
pub struct World {
    host: Netns,
    machines: BTreeMap<String, Netns>,
    kept: BTreeMap<String, Box<dyn Any>>,
}

impl World {
    /// A world with nothing in it but the host: the machine in which the calling code runs.
    ///
    /// # Errors
    ///
    /// If its namespace cannot be opened.
    pub fn new() -> Result<Self> {
        Ok(Self { host: Netns::current()?, machines: BTreeMap::new(), kept: BTreeMap::new() })
    }

    /// The computer on which the reader of the tutorial types.
    pub fn host(&self) -> Netns {
        self.host.clone()
    }

    /// Adds a machine, known by its name from now on.
    pub fn add(&mut self, machine: Netns) -> Netns {
        self.machines.insert(machine.name().to_owned(), machine.clone());
        machine
    }

    /// The machine or namespace of that name.
    ///
    /// # Errors
    ///
    /// If no stage has made one.
    pub fn machine(&self, name: &str) -> Result<Netns> {
        self.machines.get(name).cloned().ok_or_else(|| Error::World(format!("there is no machine `{name}` at this stage")))
    }

    /// Forgets a machine; it goes with the last fixture that holds it.
    ///
    /// # Errors
    ///
    /// If there is none of that name.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.machine(name)?;
        self.machines.remove(name);
        Ok(())
    }

    /// All machines and namespaces but the host.
    pub fn machines(&self) -> impl Iterator<Item = &Netns> {
        self.machines.values()
    }

    /// Keeps a fixture alive, under a name by which a later stage finds it.
    pub fn keep<T: Any>(&mut self, name: impl Into<String>, fixture: T) {
        self.kept.insert(name.into(), Box::new(fixture));
    }

    /// The fixture that was kept under that name.
    ///
    /// # Errors
    ///
    /// If no stage has kept one of that name and type.
    pub fn kept<T: Any>(&self, name: &str) -> Result<&T> {
        let fixture = self.kept.get(name).and_then(|fixture| fixture.downcast_ref());
        fixture.ok_or_else(|| Error::World(format!("there is no `{name}` at this stage")))
    }

    /// The fixture that was kept under that name, to be changed.
    ///
    /// # Errors
    ///
    /// If no stage has kept one of that name and type.
    pub fn kept_mut<T: Any>(&mut self, name: &str) -> Result<&mut T> {
        let fixture = self.kept.get_mut(name).and_then(|fixture| fixture.downcast_mut());
        fixture.ok_or_else(|| Error::World(format!("there is no `{name}` at this stage")))
    }

    /// Gives a kept fixture back; dropping it undoes it.
    ///
    /// # Errors
    ///
    /// If no stage has kept one of that name and type.
    pub fn take<T: Any>(&mut self, name: &str) -> Result<T> {
        self.kept::<T>(name)?;
        let fixture = self.kept.remove(name).and_then(|fixture| fixture.downcast().ok());
        fixture.map(|fixture| *fixture).ok_or_else(|| Error::World(format!("there is no `{name}` at this stage")))
    }
}

//! The apps of one environment, by number. The number of an app that is gone is given out again; its successor goes on
//! counting epochs where it has stopped, so that whatever was under way for it is not for the successor.

pub mod domains;

use crate::node::calls::app::App;

/// See the top of the file.
#[derive(Default)]
pub struct Apps {
    places: Vec<Place>,
    /// Numbers that are free.
    free: Vec<u32>,
}

#[derive(Default)]
struct Place {
    /// The first epoch of the next app with this number.
    epoch: u32,
    app: Option<Box<App>>,
}

impl Apps {
    /// Enters an app; `make` learns its first epoch. Returns its number.
    pub fn insert(&mut self, make: impl FnOnce(u32) -> App) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            // 2^32 apps would not fit the memory.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let place = &mut self.places[number as usize];
        place.app = Some(Box::new(make(place.epoch)));
        number
    }

    /// The app of this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&App> {
        self.places.get(number as usize)?.app.as_deref()
    }

    /// The app of this number, to be changed.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut App> {
        self.places.get_mut(number as usize)?.app.as_deref_mut()
    }

    /// Takes an app out.
    pub fn remove(&mut self, number: u32) -> Option<Box<App>> {
        let place = self.places.get_mut(number as usize)?;
        let app = place.app.take()?;
        place.epoch = app.epoch.wrapping_add(1);
        self.free.push(number);
        Some(app)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &App> {
        self.places.iter().filter_map(|place| place.app.as_deref())
    }

    /// All of them, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut App> {
        self.places.iter_mut().filter_map(|place| place.app.as_deref_mut())
    }
}

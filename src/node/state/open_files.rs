//! The files that this thread has open for `serveFiles`. A file that is sent to many clients at the same time is opened
//! once.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::files::open_file::OpenFile;
use crate::node::state::handles::{JsHandle, Table};

/// The open files, by handle.
#[derive(Default)]
pub(crate) struct Files {
    table: Table<Arc<OpenFile>>,
    by_identity: HashMap<(u64, u64), Weak<OpenFile>>,
}

impl Files {
    /// The file of a handle.
    #[must_use]
    pub(crate) fn get(&self, handle: JsHandle) -> Option<Arc<OpenFile>> {
        self.table.get(handle).cloned()
    }

    /// Inserts a file that was just opened. If the same file is open already, its handle is returned and the new one is
    /// closed.
    pub(crate) fn enter(&mut self, file: OpenFile) -> Option<JsHandle> {
        let Some(identity) = file.metadata.identity else { return self.table.insert(Arc::new(file)).ok() };
        let known = self.by_identity.get(&identity).and_then(Weak::upgrade);
        let file = known.unwrap_or_else(|| {
            let file = Arc::new(file);
            self.by_identity.insert(identity, Arc::downgrade(&file));
            file
        });
        self.table.insert(file).ok()
    }

    /// Closes a file, unless another response sends it or it is being read.
    pub(crate) fn close(&mut self, handle: JsHandle) {
        let Some(identity) = self.table.remove(handle).and_then(|file| file.metadata.identity) else {
            return;
        };
        if self.by_identity.get(&identity).is_some_and(|file| file.strong_count() == 0) {
            self.by_identity.remove(&identity);
        } else if self.by_identity.len() > 2 * self.table.len() {
            // Files that were being read when they were closed.
            self.by_identity.retain(|_, file| file.strong_count() > 0);
        }
    }
}

//! Node's own loop, which is libuv's: watches a descriptor, keeps an alarm, says when it is about to sleep, and counts its
//! turns. libuv is found by its symbols in the running executable.
//!
//! The handles keep nothing alive. They are closed when the [`LoopWatch`] is dropped, or when the environment ends: an
//! asynchronous cleanup hook makes Node wait until libuv has let go of them, because it frees the loop of a worker, and
//! may unload this library, afterwards.

#![expect(unsafe_code, reason = "calls libuv: the obligations stand beside each call")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use libloading::os::unix::Library;
use napi_sys as sys;

use super::env::Env;
use super::node_api::node_api;

type Handle = *mut c_void;
type UvLoop = *mut c_void;
type Callback = unsafe extern "C" fn(Handle);
type Listener = Rc<dyn Fn(Occasion)>;
type PollCallback = unsafe extern "C" fn(Handle, c_int, c_int);

/// `uv_handle_type` and `uv_poll_event`, which are the same in all of libuv 1.
const UV_CHECK: c_int = 2;
const UV_POLL: c_int = 8;
const UV_PREPARE: c_int = 9;
const UV_TIMER: c_int = 13;
const UV_READABLE: c_int = 1;
/// More than `malloc` guarantees, and more than any field of a handle needs.
const ALIGNMENT: usize = 16;

/// The functions of libuv.
#[derive(Clone, Copy)]
struct Functions {
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    poll_init: unsafe extern "C" fn(UvLoop, Handle, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(Handle, c_int, PollCallback) -> c_int,
    poll_stop: unsafe extern "C" fn(Handle) -> c_int,
    timer_init: unsafe extern "C" fn(UvLoop, Handle) -> c_int,
    timer_start: unsafe extern "C" fn(Handle, Callback, u64, u64) -> c_int,
    prepare_init: unsafe extern "C" fn(UvLoop, Handle) -> c_int,
    prepare_start: unsafe extern "C" fn(Handle, Callback) -> c_int,
    prepare_stop: unsafe extern "C" fn(Handle) -> c_int,
    check_init: unsafe extern "C" fn(UvLoop, Handle) -> c_int,
    check_start: unsafe extern "C" fn(Handle, Callback) -> c_int,
    close: unsafe extern "C" fn(Handle, Callback),
    unreference: unsafe extern "C" fn(Handle),
    now: unsafe extern "C" fn(UvLoop) -> u64,
    idle_time: unsafe extern "C" fn(UvLoop) -> u64,
}

impl Functions {
    fn find() -> Option<Self> {
        static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
        *FUNCTIONS.get_or_init(|| {
            let executable = Library::this();
            macro_rules! find {
                ($name:literal) => {{
                    // SAFETY: the type of the field is that of uv.h, which is the same in all of libuv 1; the executable
                    // is never unloaded.
                    let found = unsafe { executable.get($name) };
                    *found.ok()?
                }};
            }
            Some(Self {
                handle_size: find!(b"uv_handle_size\0"),
                poll_init: find!(b"uv_poll_init\0"),
                poll_start: find!(b"uv_poll_start\0"),
                poll_stop: find!(b"uv_poll_stop\0"),
                timer_init: find!(b"uv_timer_init\0"),
                timer_start: find!(b"uv_timer_start\0"),
                prepare_init: find!(b"uv_prepare_init\0"),
                prepare_start: find!(b"uv_prepare_start\0"),
                prepare_stop: find!(b"uv_prepare_stop\0"),
                check_init: find!(b"uv_check_init\0"),
                check_start: find!(b"uv_check_start\0"),
                close: find!(b"uv_close\0"),
                unreference: find!(b"uv_unref\0"),
                now: find!(b"uv_now\0"),
                idle_time: find!(b"uv_metrics_idle_time\0"),
            })
        })
    }
}

/// What Node's loop has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The descriptor is readable.
    Readable,
    /// The alarm rings.
    Alarm,
    /// The loop is about to sleep, or to look for events at least.
    Sleep,
}

/// A watch over one descriptor by Node's loop, for the thread that has made it.
pub(crate) struct LoopWatch {
    handles: Rc<Handles>,
}

/// The handles. Each that libuv has not let go of holds a reference, so libuv never sees freed memory.
struct Handles {
    functions: Functions,
    uv_loop: UvLoop,
    poll: Memory,
    timer: Memory,
    prepare: Memory,
    check: Memory,
    /// Counted by `check`.
    turns: Cell<u64>,
    is_watching: Cell<bool>,
    is_preparing: Cell<bool>,
    is_closing: Cell<bool>,
    /// Handles that libuv has not let go of.
    open: Cell<u32>,
    /// To be removed once there are none.
    hook: Cell<sys::napi_async_cleanup_hook_handle>,
    /// `None` once the handles are being closed: what it owns ends then, and not a turn of the loop later.
    callback: RefCell<Option<Listener>>,
}

/// Memory for a handle.
struct Memory {
    start: Handle,
    layout: Layout,
}

impl Memory {
    fn new(functions: &Functions, kind: c_int) -> Option<Self> {
        // SAFETY: it may be called with any kind.
        let size = unsafe { (functions.handle_size)(kind) };
        let layout = Layout::from_size_align(size.max(ALIGNMENT), ALIGNMENT).ok()?;
        // SAFETY: the size is not 0.
        let start: Handle = unsafe { alloc_zeroed(layout) }.cast();
        (!start.is_null()).then_some(Self { start, layout })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and no handle lies in it any more: see `Handles`.
        unsafe { dealloc(self.start.cast(), self.layout) };
    }
}

impl LoopWatch {
    /// Gets ready to watch a descriptor, which must stay open as long as `callback` lives. `None` where Node's loop is
    /// not libuv's, or does not watch such descriptors.
    pub(crate) fn new(env: Env<'_>, descriptor: c_int, callback: Listener) -> Option<Self> {
        let functions = Functions::find()?;
        let mut uv_loop = ptr::null_mut();
        let status = node_api!(napi_get_uv_event_loop(env.raw(), &raw mut uv_loop));
        if status != sys::Status::napi_ok || uv_loop.is_null() {
            return None;
        }
        let handles = Rc::new(Handles {
            functions,
            uv_loop: uv_loop.cast(),
            poll: Memory::new(&functions, UV_POLL)?,
            timer: Memory::new(&functions, UV_TIMER)?,
            prepare: Memory::new(&functions, UV_PREPARE)?,
            check: Memory::new(&functions, UV_CHECK)?,
            turns: Cell::new(0),
            is_watching: Cell::new(false),
            is_preparing: Cell::new(false),
            is_closing: Cell::new(false),
            open: Cell::new(0),
            hook: Cell::new(ptr::null_mut()),
            callback: RefCell::new(Some(callback)),
        });
        handles.init(descriptor)?;
        let mut hook = ptr::null_mut();
        // Valid until the hook is removed, when the last handle is closed.
        let data = Rc::as_ptr(&handles).cast_mut().cast();
        node_api!(napi_add_async_cleanup_hook(env.raw(), Some(handle_environment_end), data, &raw mut hook));
        handles.hook.set(hook);
        Some(Self { handles })
    }

    /// Starts or stops to watch the descriptor.
    pub(crate) fn watch(&self, is_wanted: bool) {
        let Handles { functions, poll, is_watching, is_closing, .. } = &*self.handles;
        if is_closing.get() || is_watching.replace(is_wanted) == is_wanted {
            return;
        }
        if is_wanted {
            // SAFETY: the handle was initialised and is not being closed.
            unsafe { (functions.poll_start)(poll.start, UV_READABLE, handle_readable) };
        } else {
            // SAFETY: as above.
            unsafe { (functions.poll_stop)(poll.start) };
        }
    }

    /// Sets the alarm, in place of an earlier one.
    pub(crate) fn set_alarm(&self, after: Duration) {
        let Handles { functions, timer, is_closing, .. } = &*self.handles;
        if !is_closing.get() {
            // A timer of libuv must not ring too early, and its clock may be a millisecond behind.
            let milliseconds = u64::try_from(after.as_micros().div_ceil(1000)).unwrap_or(u64::MAX / 2);
            // SAFETY: the handle was initialised and is not being closed.
            unsafe { (functions.timer_start)(timer.start, handle_alarm, milliseconds, 0) };
        }
    }

    /// Asks for [`Occasion::Sleep`], once.
    pub(crate) fn await_sleep(&self) {
        let Handles { functions, prepare, is_preparing, is_closing, .. } = &*self.handles;
        if !is_closing.get() && !is_preparing.replace(true) {
            // SAFETY: the handle was initialised and is not being closed.
            unsafe { (functions.prepare_start)(prepare.start, handle_sleep) };
        }
    }

    /// How often the loop has turned. A turn begins with what `setImmediate` has scheduled, and goes on with timers and
    /// events until the next of that is due.
    #[must_use]
    pub(crate) fn turns(&self) -> u64 {
        self.handles.turns.get()
    }

    /// The clock of the loop in milliseconds, as of the latest events.
    #[must_use]
    pub(crate) fn now(&self) -> u64 {
        // SAFETY: the loop lives as long as its environment.
        unsafe { (self.handles.functions.now)(self.handles.uv_loop) }
    }

    /// For how many nanoseconds in all the loop had nothing to do; 0 where it is not counted.
    #[must_use]
    pub(crate) fn idle_time(&self) -> u64 {
        // SAFETY: as above.
        unsafe { (self.handles.functions.idle_time)(self.handles.uv_loop) }
    }
}

impl Drop for LoopWatch {
    fn drop(&mut self) {
        self.handles.close();
    }
}

impl Handles {
    /// Initialises the handles. If libuv refuses one, closes the others.
    fn init(self: &Rc<Self>, descriptor: c_int) -> Option<()> {
        let Functions { poll_init, timer_init, prepare_init, check_init, check_start, .. } = self.functions;
        // SAFETY: the loop is alive, and the memory as large as libuv wants it.
        self.adopt(&self.timer, unsafe { timer_init(self.uv_loop, self.timer.start) })?;
        // SAFETY: as above.
        self.adopt(&self.prepare, unsafe { prepare_init(self.uv_loop, self.prepare.start) })?;
        // SAFETY: as above.
        self.adopt(&self.check, unsafe { check_init(self.uv_loop, self.check.start) })?;
        // SAFETY: the handle was initialised. libuv calls what was started last first: before what Node has for `setImmediate`.
        unsafe { check_start(self.check.start, handle_check) };
        // SAFETY: as above; the caller keeps the descriptor open.
        self.adopt(&self.poll, unsafe { poll_init(self.uv_loop, self.poll.start, descriptor) })
    }

    fn adopt(self: &Rc<Self>, memory: &Memory, status: c_int) -> Option<()> {
        if status != 0 {
            self.close();
            return None;
        }
        self.open.set(self.open.get() + 1);
        // SAFETY: `data` is the first field of every handle.
        unsafe { *memory.start.cast::<*const Self>() = Rc::into_raw(Rc::clone(self)) };
        // SAFETY: the handle was initialised.
        unsafe { (self.functions.unreference)(memory.start) };
        Some(())
    }

    /// Has libuv let go of all handles, which takes a turn of its loop.
    fn close(&self) {
        if self.is_closing.replace(true) {
            return;
        }
        // In the order in which they were initialised: the last ones may not be.
        let handles = [&self.timer, &self.prepare, &self.check, &self.poll];
        for memory in &handles[..self.open.get() as usize] {
            // SAFETY: the handle was initialised, and is closed once.
            unsafe { (self.functions.close)(memory.start, handle_closed) };
        }
        drop(self.callback.take());
    }

    /// Calls the callback. A panic must not unwind into libuv.
    fn tell(&self, occasion: Occasion) {
        // It may close the handles while it runs.
        let callback = self.callback.borrow().clone();
        if let Some(callback) = callback {
            drop(catch_unwind(AssertUnwindSafe(|| callback(occasion))));
        }
    }
}

/// # Safety
/// `handle` is one of a live [`Handles`]: libuv has not let go of it.
unsafe fn handles_of(handle: Handle) -> Rc<Handles> {
    // SAFETY: `Handles::adopt` has set it.
    let handles = unsafe { *handle.cast::<*const Handles>() };
    // SAFETY: the reference of the handle is kept.
    unsafe { Rc::increment_strong_count(handles) };
    // SAFETY: as above.
    unsafe { Rc::from_raw(handles) }
}

unsafe extern "C" fn handle_readable(handle: Handle, _status: c_int, _events: c_int) {
    // SAFETY: libuv calls this before it lets go of the handle.
    unsafe { handles_of(handle) }.tell(Occasion::Readable);
}

unsafe extern "C" fn handle_alarm(handle: Handle) {
    // SAFETY: as above.
    unsafe { handles_of(handle) }.tell(Occasion::Alarm);
}

unsafe extern "C" fn handle_sleep(handle: Handle) {
    // SAFETY: as above.
    let handles = unsafe { handles_of(handle) };
    handles.is_preparing.set(false);
    // SAFETY: the handle was initialised.
    unsafe { (handles.functions.prepare_stop)(handle) };
    handles.tell(Occasion::Sleep);
}

unsafe extern "C" fn handle_check(handle: Handle) {
    // SAFETY: `Handles::adopt` has set it.
    let handles = unsafe { *handle.cast::<*const Handles>() };
    // SAFETY: they live until libuv has let go of the handle.
    let handles = unsafe { &*handles };
    handles.turns.set(handles.turns.get() + 1);
}

/// libuv has let go of a handle.
unsafe extern "C" fn handle_closed(handle: Handle) {
    // SAFETY: `Handles::adopt` has set it.
    let handles = unsafe { *handle.cast::<*const Handles>() };
    // SAFETY: this is called once, and gives the reference of the handle back.
    let handles = unsafe { Rc::from_raw(handles) };
    handles.open.set(handles.open.get() - 1);
    if handles.open.get() == 0 {
        let hook = handles.hook.replace(ptr::null_mut());
        if !hook.is_null() {
            // Also where the hook has been called: Node waits for this.
            node_api!(napi_remove_async_cleanup_hook(hook));
        }
    }
}

/// The environment ends.
unsafe extern "C" fn handle_environment_end(_: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: the handles live until the hook is removed, when the last one of them is closed.
    unsafe { &*data.cast::<Handles>() }.close();
}

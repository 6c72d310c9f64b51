//! Where a model runs: devices by their names on the command line.

use std::{
    fmt,
    panic::{self, AssertUnwindSafe},
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use burn::tensor::{Device, Tensor};
use recurrent_kernels::NoHalf;
use thiserror::Error;

use crate::adapter::{Adapter, adapter_of};

/// A kind of device, and which part of Burn computes there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The processor, through `burn-flex`.
    #[default]
    Flex,
    /// The processor, through `burn-ndarray`.
    Ndarray,
    /// A GPU, through `burn-wgpu` and the graphics interface that suits it.
    Wgpu,
    /// A GPU, through `burn-wgpu` and Vulkan.
    Vulkan,
    /// An NVIDIA GPU, through `burn-cuda`.
    Cuda,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Self; 5] = [Self::Flex, Self::Ndarray, Self::Wgpu, Self::Vulkan, Self::Cuda];

    /// Its name, which is also the feature that builds it in.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
        }
    }

    /// What it is, in a few words.
    pub fn description(self) -> &'static str {
        match self {
            Self::Flex => "the processor, with fused kernels",
            Self::Ndarray => "the processor, without fused kernels",
            Self::Wgpu => "a GPU, by whatever graphics interface it has",
            Self::Vulkan => "a GPU, by Vulkan",
            Self::Cuda => "an NVIDIA GPU, by CUDA",
        }
    }

    /// Whether it is one of several that are told apart by a number.
    pub(crate) fn is_numbered(self) -> bool {
        match self {
            Self::Flex | Self::Ndarray => false,
            Self::Wgpu | Self::Vulkan | Self::Cuda => true,
        }
    }

    /// Whether this program was built with it.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Flex => true,
            Self::Ndarray => cfg!(feature = "ndarray"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// The devices of this kind that this machine has; none of a kind that is not built in.
    pub fn present(self) -> Vec<Device> {
        match self {
            Self::Flex => vec![Device::flex()],
            Self::Ndarray => ndarray(),
            Self::Wgpu => wgpu(),
            Self::Vulkan => vulkan(),
            Self::Cuda => cuda(),
        }
    }

    /// The devices of this kind that this machine has, by their names, each opened and tried out: what is known
    /// of it, or why it cannot be used.
    pub fn probed(self) -> Vec<(DeviceName, Result<Option<Adapter>, DeviceError>)> {
        let probe = |(number, device): (usize, Device)| {
            let number = self.is_numbered().then_some(number);
            let name = DeviceName { kind: self, number };
            let adapter = guarded(|| {
                computes(&device)?;
                Ok(adapter_of(&device))
            });
            (name, adapter.map_err(|reason| DeviceError::Broken { name, reason }))
        };
        self.present().into_iter().enumerate().map(probe).collect()
    }
}

#[cfg(feature = "ndarray")]
fn ndarray() -> Vec<Device> {
    #[expect(deprecated, reason = "it is asked for by name, for as long as Burn has it")]
    let device = Device::ndarray();
    vec![device]
}

#[cfg(not(feature = "ndarray"))]
fn ndarray() -> Vec<Device> {
    Vec::new()
}

// Enumerating is safe on a machine without a GPU or driver; opening a device there is not.
#[cfg(feature = "wgpu")]
fn wgpu() -> Vec<Device> {
    Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec()
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Vec<Device> {
    Vec::new()
}

#[cfg(feature = "vulkan")]
fn vulkan() -> Vec<Device> {
    Device::enumerate(burn::tensor::DeviceType::Vulkan).into_vec()
}

#[cfg(not(feature = "vulkan"))]
fn vulkan() -> Vec<Device> {
    Vec::new()
}

#[cfg(feature = "cuda")]
fn cuda() -> Vec<Device> {
    Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec()
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Vec<Device> {
    Vec::new()
}

/// A device as the command line names it: `flex`, `cuda:1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceName {
    /// Which kind.
    pub kind: Kind,
    /// Which of its kind, from 0; the first if nothing is said.
    pub number: Option<usize>,
}

impl DeviceName {
    /// The device of this name, ready to compute.
    ///
    /// # Errors
    ///
    /// [`NotBuiltIn`](DeviceError::NotBuiltIn) if this program was built without it,
    /// [`NotPresent`](DeviceError::NotPresent) if this machine does not have it,
    /// [`Broken`](DeviceError::Broken) if it cannot be opened.
    pub fn open(self) -> Result<Device, DeviceError> {
        if !self.kind.is_built_in() {
            return Err(DeviceError::NotBuiltIn { kind: self.kind });
        }
        let mut present = self.kind.present();
        let number = self.number.unwrap_or(0);
        if number >= present.len() {
            return Err(DeviceError::NotPresent { name: self, present: present.len() });
        }
        let device = match (self.kind, self.number) {
            (Kind::Wgpu, None) => preferred(present.swap_remove(0)),
            _ => present.swap_remove(number),
        };
        if self.kind.is_numbered() {
            // Better now than in the middle of a run.
            guarded(|| device.sync().map_err(|error| error.to_string()))
                .map_err(|reason| DeviceError::Broken { name: self, reason })?;
        }
        Ok(device)
    }
}

/// The adapter that the environment (`CUBECL_WGPU_DEFAULT_DEVICE`) or wgpu prefers.
#[cfg(feature = "wgpu")]
fn preferred(_first: Device) -> Device {
    Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
}

#[cfg(not(feature = "wgpu"))]
fn preferred(first: Device) -> Device {
    first
}

/// Burn opens a GPU when it is first used, and panics if that fails.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    // The hook is one for the whole process: what one takes away, another must not keep.
    static HOOK: Mutex<()> = Mutex::new(());
    let _alone = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    panic::set_hook(hook);
    result.unwrap_or_else(|payload| Err(message_of(payload.as_ref())))
}

/// Whether a device does a small calculation rightly.
fn computes(device: &Device) -> Result<(), String> {
    let squares = Tensor::<1>::from_data([1.0, 2.0, 3.0], device).square();
    let squares: Vec<f32> = squares.into_data().iter::<f32>().collect();
    match squares == [1.0, 4.0, 9.0] {
        true => Ok(()),
        false => Err(format!("it says that the squares of 1, 2 and 3 are {squares:?}")),
    }
}

fn message_of(payload: &(dyn std::any::Any + Send)) -> String {
    if let Some(message) = payload.downcast_ref::<String>() {
        message.clone()
    } else if let Some(message) = payload.downcast_ref::<&str>() {
        (*message).to_owned()
    } else {
        "its driver gave up".to_owned()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        match self.number {
            Some(number) => write!(f, ":{number}"),
            None => Ok(()),
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { name: text.to_owned() };
        let (name, number) = match text.split_once(':') {
            None => (text, None),
            Some((name, number)) => (name, Some(number.parse().map_err(|_| unknown())?)),
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)?;
        match number {
            Some(_) if !kind.is_numbered() => Err(unknown()),
            _ => Ok(Self { kind, number }),
        }
    }
}

/// Why there is no such device.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// No device has this name.
    #[error(
        "unknown device `{name}`, expected `flex`, `ndarray`, `wgpu`, `vulkan` or `cuda`, the last three also with a number as in `cuda:1`"
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// The program was built without it.
    #[error(
        "device `{0}` is not in this build, build with `--features {0}`; this build has {1}",
        kind.name(),
        built_in()
    )]
    NotBuiltIn {
        /// Which kind.
        kind: Kind,
    },
    /// The machine does not have it.
    #[error("device `{name}` is not on this machine, which has {}", counted(*present, name.kind))]
    NotPresent {
        /// What was asked for.
        name: DeviceName,
        /// How many of its kind there are.
        present: usize,
    },
    /// It is there, and it cannot be used.
    #[error("device `{name}` cannot be opened: {reason}")]
    Broken {
        /// What was asked for.
        name: DeviceName,
        /// What its driver says.
        reason: String,
    },
    /// It does not multiply as it should.
    #[error("--precision half: device `{name}` cannot, {why}")]
    Precision {
        /// What was asked for.
        name: DeviceName,
        /// Why not.
        why: NoHalf,
    },
}

fn built_in() -> String {
    let kinds = Kind::ALL.into_iter().filter(|kind| kind.is_built_in());
    let names: Vec<String> = kinds.map(|kind| format!("`{}`", kind.name())).collect();
    names.join(", ")
}

fn counted(present: usize, kind: Kind) -> String {
    let name = kind.name();
    match present {
        0 => format!("no {name} device"),
        1 => format!("only `{name}:0`"),
        _ => format!("`{name}:0` to `{name}:{}`", present - 1),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("flex", Kind::Flex, None)]
    #[case("ndarray", Kind::Ndarray, None)]
    #[case("wgpu", Kind::Wgpu, None)]
    #[case("vulkan:0", Kind::Vulkan, Some(0))]
    #[case("cuda:12", Kind::Cuda, Some(12))]
    fn a_name_is_read_and_written(
        #[case] text: &str,
        #[case] kind: Kind,
        #[case] number: Option<usize>,
    ) {
        let name: DeviceName = text.parse().unwrap();
        assert_eq!(name, DeviceName { kind, number });
        assert_eq!(name.to_string(), text);
    }

    #[rstest]
    #[case("")]
    #[case("gpu")]
    #[case("flex:0")]
    #[case("cuda:")]
    #[case("cuda:-1")]
    #[case("CUDA")]
    fn an_unknown_name_lists_the_names(#[case] text: &str) {
        let error = text.parse::<DeviceName>().unwrap_err();
        assert!(matches!(error, DeviceError::Unknown { .. }));
        let message = error.to_string();
        assert!(message.contains(&format!("`{text}`")), "{message}");
        assert!(message.contains("`flex`") && message.contains("`cuda:1`"), "{message}");
    }

    #[test]
    fn flex_is_always_there() {
        let device = DeviceName::default().open().unwrap();
        assert_eq!(device, Device::flex());
    }

    #[test]
    fn what_is_not_built_in_names_its_feature() {
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_built_in()) {
            let error = DeviceName { kind, number: None }.open().unwrap_err().to_string();
            assert!(error.contains(&format!("build with `--features {}`", kind.name())), "{error}");
            assert!(kind.present().is_empty());
        }
    }

    #[test]
    fn what_is_not_present_says_what_is() {
        let name = DeviceName { kind: Kind::Cuda, number: Some(3) };
        let message = |present| DeviceError::NotPresent { name, present }.to_string();
        assert_eq!(message(0), "device `cuda:3` is not on this machine, which has no cuda device");
        assert!(message(1).ends_with("only `cuda:0`"));
        assert!(message(3).ends_with("`cuda:0` to `cuda:2`"));
    }

    #[test]
    fn what_is_present_is_tried_out() {
        for kind in Kind::ALL {
            let probed = kind.probed();
            assert_eq!(probed.len(), kind.present().len());
            for (name, adapter) in probed {
                let adapter = adapter.unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(adapter.is_some(), kind.is_numbered(), "{name}");
                assert_eq!(name.number.is_some(), kind.is_numbered(), "{name}");
                let Some(Adapter { name, interface, limits, .. }) = adapter else { continue };
                assert!(!name.is_empty() && !interface.is_empty());
                assert!(limits.floats.contains(&"f32"), "{limits:?}");
                // What WebGPU promises of every adapter.
                assert!(limits.buffer >= 128 << 20 && limits.workgroup >= 256, "{limits:?}");
                assert!(limits.shared_memory >= 16 << 10 && limits.bindings >= 7, "{limits:?}");
            }
        }
    }

    #[test]
    fn one_more_than_there_are_is_refused() {
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_built_in() && kind.is_numbered()) {
            let number = Some(kind.present().len());
            let error = DeviceName { kind, number }.open().unwrap_err().to_string();
            assert!(error.contains("is not on this machine, which has"), "{error}");
        }
    }

    #[test]
    fn a_driver_that_gives_up_is_an_error() {
        let gives_up = || -> Result<(), String> { panic!("no {}", "memory") };
        assert_eq!(guarded(gives_up), Err("no memory".to_owned()));
        assert_eq!(guarded(|| Ok(1)), Ok(1));
    }

    #[test]
    fn a_panic_has_a_message() {
        assert_eq!(message_of(&"text"), "text");
        assert_eq!(message_of(&"text".to_owned()), "text");
        assert_eq!(message_of(&7), "its driver gave up");
    }
}

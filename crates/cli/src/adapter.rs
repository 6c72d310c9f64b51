//! What is known of a device that is not the processor itself: which adapter it is, how it is reached and what
//! fits on it.

use burn::tensor::Device;
use serde::Serialize;

/// An adapter, as Burn has opened it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Adapter {
    /// As it calls itself.
    pub name: String,
    /// What it is.
    pub kind: AdapterKind,
    /// By which interface it is reached: `Vulkan`, `Metal`, `DirectX 12`, `OpenGL`, `WebGPU` or `CUDA`.
    pub interface: String,
    /// What kernels are compiled to on their way to its driver: `WGSL`, `SPIR-V`, `MSL` or `PTX`.
    pub kernels: String,
    /// What fits on it.
    pub limits: Limits,
}

/// What an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdapterKind {
    /// A card with a memory of its own.
    Discrete,
    /// A part of the processor, which shares its memory.
    Integrated,
    /// A part of a card, as virtual machines get it.
    Virtual,
    /// A driver that computes on the processor.
    Software,
    /// What does not say.
    Other,
}

impl AdapterKind {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Software => "software",
            Self::Other => "other",
        }
    }
}

/// What fits on an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// The largest tensor, in bytes: the largest buffer that a kernel may be given.
    pub buffer: u64,
    /// Memory that a workgroup shares, in bytes.
    pub shared_memory: usize,
    /// Units of a workgroup.
    pub workgroup: u32,
    /// Workgroups of a kernel, along each dimension.
    pub workgroups: [u32; 3],
    /// Buffers of a kernel.
    pub bindings: u32,
    /// The fewest and the most units that run in step.
    pub plane: [u32; 2],
    /// The types it computes in: of `f64`, `f32`, `f16` and `bf16`.
    pub floats: Vec<&'static str>,
}

/// The adapter behind `device`; none behind the processor. It is opened for this.
///
/// # Panics
///
/// If it cannot be opened.
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
pub fn adapter_of(device: &Device) -> Option<Adapter> {
    use burn::{backend::DispatchDevice, tensor::DType};

    let DispatchDevice::Cube(cube) = device.as_dispatch() else { return None };
    let client = cube.client();
    let properties = client.properties();
    let hardware = &properties.hardware;
    let (x, y, z) = hardware.max_cube_count;
    let floats =
        [("f64", DType::F64), ("f32", DType::F32), ("f16", DType::F16), ("bf16", DType::BF16)];
    let computes = floats.into_iter().filter(|(_, dtype)| device.supports_dtype(*dtype));
    let (kind, interface) = route(cube);
    Some(Adapter {
        name: properties.identity.name.clone(),
        kind,
        interface: interface.to_owned(),
        kernels: kernels(client.name()).to_owned(),
        limits: Limits {
            buffer: properties.memory.max_page_size,
            shared_memory: hardware.max_shared_memory_size,
            workgroup: hardware.max_units_per_cube,
            workgroups: [x, y, z],
            bindings: hardware.max_bindings,
            plane: [hardware.plane_size_min, hardware.plane_size_max],
            floats: computes.map(|(name, _)| name).collect(),
        },
    })
}

/// None: this program was built for the processor alone.
#[cfg(not(any(feature = "wgpu", feature = "vulkan", feature = "cuda")))]
pub fn adapter_of(_device: &Device) -> Option<Adapter> {
    None
}

/// What the device is and how it is reached.
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
fn route(cube: &burn::backend::CubeDevice) -> (AdapterKind, &'static str) {
    use burn::backend::{CubeDevice, WgpuBackend, WgpuDeviceKind};

    let CubeDevice::Wgpu(device) = cube else { return (AdapterKind::Discrete, "CUDA") };
    let kind = match device.kind {
        WgpuDeviceKind::DefaultDevice => default_kind(),
        _ => kind_of(&device.kind),
    };
    let interface = match device.backend {
        WgpuBackend::Auto => preferred_interface(),
        WgpuBackend::Vulkan => "Vulkan",
        WgpuBackend::Metal => "Metal",
        WgpuBackend::Dx12 => "DirectX 12",
        WgpuBackend::Gl => "OpenGL",
        WgpuBackend::WebGpu => "WebGPU",
    };
    (kind, interface)
}

#[cfg(any(feature = "wgpu", feature = "vulkan"))]
fn kind_of(kind: &burn::backend::WgpuDeviceKind) -> AdapterKind {
    use burn::backend::WgpuDeviceKind;

    match kind {
        WgpuDeviceKind::DiscreteGpu(_) => AdapterKind::Discrete,
        WgpuDeviceKind::IntegratedGpu(_) => AdapterKind::Integrated,
        WgpuDeviceKind::VirtualGpu(_) => AdapterKind::Virtual,
        WgpuDeviceKind::Cpu => AdapterKind::Software,
        WgpuDeviceKind::DefaultDevice | WgpuDeviceKind::Existing(_) | WgpuDeviceKind::Other(_) => {
            AdapterKind::Other
        }
    }
}

/// What the preferred adapter is: what they all are. Where they differ, it cannot be told.
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
fn default_kind() -> AdapterKind {
    use burn::{
        backend::{CubeDevice, DispatchDevice},
        tensor::DeviceType,
    };

    let kind = |device: &Device| match device.as_dispatch() {
        DispatchDevice::Cube(CubeDevice::Wgpu(device)) => kind_of(&device.kind),
        _ => AdapterKind::Other,
    };
    let there = Device::enumerate(DeviceType::Wgpu).into_vec();
    let kinds: Vec<AdapterKind> = there.iter().map(kind).collect();
    match kinds.split_first() {
        Some((first, others)) if others.iter().all(|other| other == first) => *first,
        _ => AdapterKind::Other,
    }
}

/// The interface that is taken where none is asked for.
#[cfg(any(feature = "wgpu", feature = "vulkan"))]
fn preferred_interface() -> &'static str {
    use burn::backend::wgpu::{
        graphics::{AutoGraphicsApi, GraphicsApi},
        wgpu::Backend,
    };

    match AutoGraphicsApi::backend() {
        Backend::Noop => "none",
        Backend::Vulkan => "Vulkan",
        Backend::Metal => "Metal",
        Backend::Dx12 => "DirectX 12",
        Backend::Gl => "OpenGL",
        Backend::BrowserWebGpu => "WebGPU",
    }
}

#[cfg(all(feature = "cuda", not(any(feature = "wgpu", feature = "vulkan"))))]
fn route(_cube: &burn::backend::CubeDevice) -> (AdapterKind, &'static str) {
    (AdapterKind::Discrete, "CUDA")
}

/// What a runtime of CubeCL compiles kernels to, by its name.
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
fn kernels(runtime: &str) -> &str {
    match runtime {
        "wgpu<wgsl>" => "WGSL",
        "wgpu<spirv>" => "SPIR-V",
        "wgpu<msl>" => "MSL",
        "cuda" => "PTX",
        other => other,
    }
}

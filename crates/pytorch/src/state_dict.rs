//! A file of named tensors.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use burn::tensor::{DType, TensorData};
use pytorch_reader::PytorchReader;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::PytorchError;

/// Named tensors, as PyTorch's `state_dict()` gives them.
///
/// Tensors that are no weights (an `int64` counter, say) are kept as they are and written again;
/// asking for one is an error.
#[derive(Clone, Debug, Default)]
pub struct StateDict {
    entries: BTreeMap<String, Entry>,
    path: Option<PathBuf>,
}

/// A tensor as it lies in a file: little-endian and row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl StateDict {
    /// Without a tensor.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what `torch.save(model.state_dict(), path)` or safetensors wrote. The content decides
    /// which of the two it is, not the name. A dictionary in a dictionary becomes a prefix:
    /// `torch.save({"model": model.state_dict()}, path)` gives `model.encoder.weight`.
    ///
    /// # Errors
    ///
    /// [`Io`](PytorchError::Io) if the file cannot be read,
    /// [`NotAStateDict`](PytorchError::NotAStateDict) if it is damaged or something else.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, PytorchError> {
        let path = path.as_ref();
        let entries = match is_safetensors(path) {
            Ok(true) => read_safetensors(path),
            Ok(false) => read_pt(path),
            Err(error) => Err(error.into()),
        };
        match entries {
            Ok(entries) => Ok(Self { entries, path: Some(path.to_owned()) }),
            Err(error) => Err(error.at(path)),
        }
    }

    /// Writes all tensors as safetensors. The same tensors give the same bytes. A file that was
    /// there before is replaced when the new one is complete and on the disk, or not at all.
    ///
    /// # Errors
    ///
    /// [`Io`](PytorchError::Io) if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), PytorchError> {
        let path = path.as_ref();
        let bytes = self.to_safetensors().map_err(|error| error.at(path))?;
        replace(path, |file| file.write_all(&bytes)).map_err(|error| ReadError::Io(error).at(path))
    }

    fn to_safetensors(&self) -> Result<Vec<u8>, ReadError> {
        let mut views = Vec::with_capacity(self.entries.len());
        for (key, Entry { dtype, shape, bytes }) in &self.entries {
            views.push((key, TensorView::new(*dtype, shape.clone(), bytes)?));
        }
        // Programs that read several frameworks' files look for this.
        let header = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        Ok(safetensors::serialize(views, Some(header))?)
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The tensor of this key, in the dtype it has in the file.
    ///
    /// # Errors
    ///
    /// [`MissingKey`](PytorchError::MissingKey) if there is none,
    /// [`UnsupportedDtype`](PytorchError::UnsupportedDtype) if it is not F64, F32, F16 or BF16.
    pub fn get(&self, key: &str) -> Result<TensorData, PytorchError> {
        let dtype = self.dtype(key)?;
        let entry = self.entry(key)?;
        Ok(TensorData::from_bytes_vec(entry.bytes.clone(), entry.shape.clone(), dtype))
    }

    /// Puts a tensor under this key, in the place of one that was there.
    ///
    /// # Errors
    ///
    /// [`UnsupportedDtype`](PytorchError::UnsupportedDtype) if it is not F64, F32, F16 or BF16.
    pub fn insert(&mut self, key: &str, tensor: TensorData) -> Result<(), PytorchError> {
        let dtype = match tensor.dtype() {
            DType::F64 => Dtype::F64,
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            other => return Err(self.unsupported_dtype(key, format!("{other:?}"))),
        };
        let (shape, bytes) = (tensor.shape().to_vec(), tensor.as_bytes().to_vec());
        self.entries.insert(key.to_owned(), Entry { dtype, shape, bytes });
        Ok(())
    }

    /// Takes the tensor of this key out; whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        self.entries.remove(key).is_some()
    }

    /// Puts in all tensors of `other`.
    pub(crate) fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn shape(&self, key: &str) -> Result<&[usize], PytorchError> {
        Ok(&self.entry(key)?.shape)
    }

    pub(crate) fn dtype(&self, key: &str) -> Result<DType, PytorchError> {
        match self.entry(key)?.dtype {
            Dtype::F64 => Ok(DType::F64),
            Dtype::F32 => Ok(DType::F32),
            Dtype::F16 => Ok(DType::F16),
            Dtype::BF16 => Ok(DType::BF16),
            other => Err(self.unsupported_dtype(key, other.to_string())),
        }
    }

    /// The file, as messages name it.
    pub(crate) fn file(&self) -> String {
        self.path.as_deref().map_or_else(|| "the state dict".to_owned(), named)
    }

    fn entry(&self, key: &str) -> Result<&Entry, PytorchError> {
        self.entries.get(key).ok_or_else(|| self.missing(key))
    }

    fn missing(&self, key: &str) -> PytorchError {
        let prefix = key.rfind('.').map_or("", |dot| &key[..=dot]);
        let beside = self.keys().filter(|other| other.starts_with(prefix));
        let mut found: Vec<_> = beside.map(str::to_owned).collect();
        if found.is_empty() {
            found = self.keys().map(str::to_owned).collect();
        }
        PytorchError::MissingKey { file: self.file(), key: key.to_owned(), found }
    }

    fn unsupported_dtype(&self, key: &str, dtype: String) -> PytorchError {
        PytorchError::UnsupportedDtype { file: self.file(), key: key.to_owned(), dtype }
    }
}

fn named(path: &Path) -> String {
    format!("`{}`", path.display())
}

/// Whether the header of a safetensors file starts: 8 bytes of length, then a JSON object. No file
/// that PyTorch writes has a `{` in that place.
fn is_safetensors(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(9).read_to_end(&mut start)?;
    Ok(start.get(8) == Some(&b'{'))
}

fn read_safetensors(path: &Path) -> Result<BTreeMap<String, Entry>, ReadError> {
    let bytes = fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let entries = file.iter().map(|(key, view)| {
        let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
        (key.to_owned(), Entry { dtype: view.dtype(), shape, bytes })
    });
    Ok(entries.collect())
}

fn read_pt(path: &Path) -> Result<BTreeMap<String, Entry>, ReadError> {
    let tensors = PytorchReader::new(path)?.into_tensors();
    let entries = tensors.into_iter().map(|(key, tensor)| {
        let (dtype, shape) = (dtype_of(tensor.dtype()), tensor.shape().to_vec());
        Ok((key, Entry { dtype, shape, bytes: tensor.read()? }))
    });
    entries.collect()
}

fn dtype_of(dtype: pytorch_reader::DType) -> Dtype {
    use pytorch_reader::DType;
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

/// Gives `path` the content that `fill` writes, when all of it is on the disk. If anything fails,
/// `path` is as it was.
pub(crate) fn replace(
    path: &Path,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let target = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let path = target.as_path();
    // A device, say, is no file that another could take the place of.
    let no_file = |kind: std::fs::FileType| !kind.is_file() && !kind.is_dir();
    if std::fs::metadata(path).is_ok_and(|found| no_file(found.file_type())) {
        return fill(&mut File::options().write(true).open(path)?);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // A temporary file is its owner's alone; this one is to be an ordinary file under its name.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut new = builder.tempfile_in(folder)?;
    fill(new.as_file_mut())?;
    new.as_file().sync_all()?;
    new.persist(path)?;
    // The new name is safe from a power cut when the folder is on the disk too.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// What went wrong with a file, before it is said which.
enum ReadError {
    Io(io::Error),
    Content(String),
}

impl ReadError {
    fn at(self, path: &Path) -> PytorchError {
        let file = named(path);
        match self {
            Self::Io(error) => PytorchError::Io { file, error },
            Self::Content(reason) => PytorchError::NotAStateDict { file, reason },
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        // A reader says with these kinds that the file contradicts itself.
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Self::Content(error.to_string())
            }
            _ => Self::Io(error),
        }
    }
}

impl From<safetensors::SafeTensorError> for ReadError {
    fn from(error: safetensors::SafeTensorError) -> Self {
        Self::Content(error.to_string())
    }
}

impl From<pytorch_reader::PytorchError> for ReadError {
    fn from(error: pytorch_reader::PytorchError) -> Self {
        match error {
            pytorch_reader::PytorchError::Io(error) => error.into(),
            other => Self::Content(other.to_string()),
        }
    }
}

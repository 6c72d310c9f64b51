//! Which keys and shapes a recurrent module has, and whether a state dict has just these.

use burn::tensor::DType;

use crate::{PytorchCell, PytorchError, PytorchLayer, StateDict};

/// The names of all parameters that PyTorch's recurrent modules have.
const ALL: [&str; 5] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"];

/// A recurrent module in a state dict, checked: every key is there, and no other, in its shape and
/// in one dtype.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// How many layers there are.
    pub(crate) layers: usize,
    /// What all parameters are made of.
    pub(crate) dtype: DType,
    /// Units of a direction, `H`.
    pub(crate) hidden: usize,
}

/// The sizes that all shapes follow from.
struct Sizes {
    module: String,
    gates: usize,
    d_input: usize,
    hidden: usize,
    output: usize,
    directions: usize,
}

/// A key without its prefix, taken apart: `weight_ih_l0_reverse`.
struct Name<'a> {
    parameter: &'a str,
    layer: usize,
    direction: &'a str,
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (parameter, place) = name.rsplit_once("_l")?;
        let digits = place.strip_suffix("_reverse").unwrap_or(place);
        let layer: usize = digits.parse().ok()?;
        let known = ALL.contains(&parameter) && layer.to_string() == digits;
        known.then_some(Self { parameter, layer, direction: &place[digits.len()..] })
    }
}

/// A prefix as it stands in front of a key: empty, or with a dot at its end.
pub(crate) fn with_dot(prefix: &str) -> String {
    match prefix {
        "" => String::new(),
        _ if prefix.ends_with('.') => prefix.to_owned(),
        _ => format!("{prefix}."),
    }
}

/// The keys right under a prefix, without it. A key with another dot is some other module's.
fn names<'a>(dict: &'a StateDict, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    dict.keys().filter_map(move |key| key.strip_prefix(prefix).filter(|name| !name.contains('.')))
}

/// Takes out the recurrent module under `prefix`, if there is one.
pub(crate) fn clear(dict: &mut StateDict, prefix: &str) {
    let module = names(dict, prefix).filter(|name| Name::parse(name).is_some());
    let keys: Vec<String> = module.map(|name| format!("{prefix}{name}")).collect();
    for key in keys {
        dict.remove(&key);
    }
}

impl Layout {
    /// The module of `L` under `prefix`, which ends in a dot unless it is empty.
    pub(crate) fn find<L: PytorchLayer>(
        dict: &StateDict,
        prefix: &str,
    ) -> Result<Self, PytorchError> {
        let (mut layers, mut has_bias) = (1, false);
        for name in names(dict, prefix) {
            let parsed = Name::parse(name).filter(|name| {
                L::Cell::PARAMETERS.contains(&name.parameter)
                    && L::DIRECTIONS.contains(&name.direction)
            });
            let Some(Name { parameter, layer, .. }) = parsed else {
                let (file, key) = (dict.file(), format!("{prefix}{name}"));
                return Err(PytorchError::UnknownKey { file, key, module: module::<L>() });
            };
            layers = layers.max(layer.saturating_add(1));
            has_bias |= parameter.starts_with("bias");
        }
        let parameters = L::Cell::PARAMETERS.iter().copied();
        let parameters: Vec<_> =
            parameters.filter(|name| has_bias || !name.starts_with("bias")).collect();

        let sizes = Sizes::of::<L>(dict, prefix)?;
        let first = format!("{prefix}{}_l0", parameters[0]);
        let dtype = dict.dtype(&first)?;
        for layer in 0..layers {
            for direction in L::DIRECTIONS {
                for parameter in &parameters {
                    let key = format!("{prefix}{parameter}_l{layer}{direction}");
                    sizes.check(dict, &key, parameter, layer)?;
                    check_dtype(dict, &key, &first, dtype)?;
                }
            }
        }
        Ok(Self { layers, dtype, hidden: sizes.hidden })
    }
}

/// What PyTorch calls a stack of `L`.
fn module<L: PytorchLayer>() -> String {
    let directions = if L::DIRECTIONS.len() == 1 { "unidirectional" } else { "bidirectional" };
    format!("{directions} {}", L::Cell::MODULE)
}

fn check_dtype(
    dict: &StateDict,
    key: &str,
    first: &str,
    expected: DType,
) -> Result<(), PytorchError> {
    let dtype = dict.dtype(key)?;
    if dtype == expected {
        return Ok(());
    }
    Err(PytorchError::MixedDtypes {
        file: dict.file(),
        key: key.to_owned(),
        dtype: format!("{dtype:?}"),
        first: first.to_owned(),
        expected: format!("{expected:?}"),
    })
}

impl Sizes {
    /// The sizes as the columns of the bottom layer's weights say them.
    fn of<L: PytorchLayer>(dict: &StateDict, prefix: &str) -> Result<Self, PytorchError> {
        let module = module::<L>();
        let columns = |parameter| {
            let key = format!("{prefix}{parameter}_l0");
            match dict.shape(&key)? {
                [rows, columns] if *rows > 0 && *columns > 0 => Ok(*columns),
                shape => {
                    let expected = "two sizes above 0".to_owned();
                    Err(wrong_shape(dict, &key, shape, &module, expected))
                }
            }
        };
        let (d_input, output) = (columns("weight_ih")?, columns("weight_hh")?);
        let projects = L::Cell::PARAMETERS.contains(&"weight_hr");
        let hidden = if projects { columns("weight_hr")? } else { output };
        let (gates, directions) = (L::Cell::GATES, L::DIRECTIONS.len());
        Ok(Self { module, gates, d_input, hidden, output, directions })
    }

    fn check(
        &self,
        dict: &StateDict,
        key: &str,
        parameter: &str,
        layer: usize,
    ) -> Result<(), PytorchError> {
        let (expected, why) = self.shape(parameter, layer);
        let shape = dict.shape(key)?;
        if shape == expected {
            return Ok(());
        }
        Err(wrong_shape(dict, key, shape, &self.module, format!("{expected:?} ({why})")))
    }

    /// The shape of a parameter, and what it follows from.
    fn shape(&self, parameter: &str, layer: usize) -> (Vec<usize>, String) {
        let Self { gates, d_input, hidden, output, directions, .. } = *self;
        let rows = gates * hidden;
        let gated = match gates {
            1 => format!("{hidden} units"),
            _ => format!("{gates} gates · {hidden} units"),
        };
        match parameter {
            "weight_ih" if layer == 0 => {
                (vec![rows, d_input], format!("{gated}, {d_input} inputs"))
            }
            "weight_ih" => {
                let below = directions * output;
                (vec![rows, below], format!("{gated}, {below} outputs of the layer below"))
            }
            "weight_hh" => (vec![rows, output], format!("{gated}, {output} outputs")),
            "weight_hr" => (vec![output, hidden], format!("{output} outputs, {hidden} units")),
            _ => (vec![rows], gated),
        }
    }
}

fn wrong_shape(
    dict: &StateDict,
    key: &str,
    shape: &[usize],
    module: &str,
    expected: String,
) -> PytorchError {
    PytorchError::WrongShape {
        file: dict.file(),
        key: key.to_owned(),
        shape: shape.to_vec(),
        module: module.to_owned(),
        expected,
    }
}

//! Any module's parameters as numbers, and back.

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    prelude::*,
};

use crate::case::{Numbers, uniform};

/// The parameters of `module` under their paths.
pub(crate) fn numbers_of<M: Module>(module: &M) -> Numbers {
    let mut collect = Collect { path: Vec::new(), numbers: Numbers::new() };
    module.visit(&mut collect);
    collect.numbers
}

/// `module` with all that is drawn at random drawn anew, from the shapes alone: matrices, and the
/// vector `v` of additive attention, uniform within `width / √rows`. Other vectors start from constants.
pub(crate) fn redrawn<M: Module>(module: M, width: f32) -> M {
    module.map(&mut Redraw { width, drawn: 0, path: Vec::new() })
}

struct Collect {
    path: Vec<String>,
    numbers: Numbers,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.numbers.insert(self.path.join("."), param.val().to_data());
    }
}

struct Redraw {
    width: f32,
    drawn: u64,
    path: Vec<String>,
}

impl ModuleMapper for Redraw {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.drawn += 1;
        let (id, value, mapper) = param.consume();
        let (dims, tracked) = (value.dims(), value.is_require_grad());
        let is_drawn = D == 2 || self.path.last().is_some_and(|name| name == "v");
        let value = if is_drawn {
            let width = self.width / (dims[0] as f32).sqrt();
            Tensor::from_data(uniform(&dims, width, self.drawn), &value.device())
        } else {
            value
        };
        Param::from_mapped_value(id, value.detach().set_require_grad(tracked), mapper)
    }
}

use burn::prelude::*;
use burn::tensor::{Device, Distribution};
use recurrent_cells::*;
use recurrent_kernels::*;
use std::time::Instant;

fn main() {
    recurrent_kernels::heap::settle();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let shapes: Vec<[usize; 3]> = args[1]
        .split(',')
        .map(|s| {
            let v: Vec<usize> = s.split('x').map(|n| n.parse().unwrap()).collect();
            [v[0], v[1], v[2]]
        })
        .collect();
    let gru = args[0] == "gru";
    for [b, t, h] in shapes {
        let plain = Device::flex();
        let ad = Device::flex().autodiff();
        let make = |d: &Device| Tensor::<3>::random([b, t, h], Distribution::Uniform(-1.0, 1.0), d);
        let flop = 2.0 * (b * t * h * h * if gru { 3 } else { 4 }) as f64;
        let lengths = Lengths::full(b, t);
        let mut report = |name: &str, products: f64, f: &mut dyn FnMut()| {
            let mut times = vec![];
            let start = Instant::now();
            while start.elapsed().as_secs_f64() < 1.0 || times.len() < 5 {
                let s = Instant::now();
                f();
                times.push(s.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            println!(
                "{b}x{t}x{h} {name}: min {:.3} q1 {:.3} med {:.3} ms, {:.0} GFLOP/s",
                times[0],
                times[times.len() / 4],
                times[times.len() / 2],
                products * flop / times[0] / 1e6
            );
        };
        let w = |d: &Device, shape: [usize; 2]| {
            Tensor::<2>::random(shape, Distribution::Uniform(-0.05, 0.05), d)
        };
        let g = if gru { 3 } else { 4 };
        {
            let (wx, wh, x) = (w(&plain, [h, g * h]), w(&plain, [h, g * h]), make(&plain));
            let bias = Tensor::<1>::zeros([g * h], &plain);
            let z = Tensor::<2>::zeros([b, h], &plain);
            report("project", 1.0, &mut || {
                let _ = project_sequence(x.clone(), wx.clone(), Some(bias.clone()), &lengths);
            });
            let p = project_sequence(x.clone(), wx.clone(), Some(bias.clone()), &lengths);
            if gru {
                report("sequence", 1.0, &mut || {
                    let _ = gru_sequence(
                        p.clone(),
                        GruOperands { w_h: wh.clone(), b_h: bias.clone(), hidden: z.clone() },
                        Reset::AfterProduct,
                        Update::Keeps,
                        &lengths,
                        Direction::Forward,
                    );
                });
            } else {
                report("sequence", 1.0, &mut || {
                    let _ = lstm_sequence(
                        p.clone(),
                        LstmOperands {
                            w_h: wh.clone(),
                            peephole: None,
                            hidden: z.clone(),
                            cell: z.clone(),
                        },
                        Gates::Forget,
                        &lengths,
                        Direction::Forward,
                    );
                });
            }
        }
        {
            let (wx, wh, x) = (
                w(&ad, [h, g * h]).require_grad(),
                w(&ad, [h, g * h]).require_grad(),
                make(&ad).require_grad(),
            );
            let bias = Tensor::<1>::zeros([g * h], &ad).require_grad();
            let z = Tensor::<2>::zeros([b, h], &ad);
            report("training", 6.0, &mut || {
                let p = project_sequence(x.clone(), wx.clone(), Some(bias.clone()), &lengths);
                let out = if gru {
                    gru_sequence(
                        p,
                        GruOperands { w_h: wh.clone(), b_h: bias.clone(), hidden: z.clone() },
                        Reset::AfterProduct,
                        Update::Keeps,
                        &lengths,
                        Direction::Forward,
                    )
                    .0
                } else {
                    lstm_sequence(
                        p,
                        LstmOperands {
                            w_h: wh.clone(),
                            peephole: None,
                            hidden: z.clone(),
                            cell: z.clone(),
                        },
                        Gates::Forget,
                        &lengths,
                        Direction::Forward,
                    )
                    .outputs
                };
                let _ = (out.clone() * out).sum().backward();
            });
        }
    }
}
